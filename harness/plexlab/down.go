package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

func newDown(io streams) *cobra.Command {
	return &cobra.Command{
		Use: "down [NAME | FILE]", Short: "End a laboratory; nothing of it stays", GroupID: groupLab,
		Long: `Ends the laboratory of that name, or of the plex in a topology file, or the only one. Stacks and
applications get SIGTERM and 0.3 s; then the kernel takes everything.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeLab,
		RunE: func(cmd *cobra.Command, args []string) error {
			var chosen choice
			if len(args) == 1 {
				chosen.name = args[0]
				if strings.HasSuffix(args[0], ".yaml") || strings.HasSuffix(args[0], ".yml") {
					_, plan, err := loadTopology(args[0])
					if err != nil {
						return err
					}
					chosen.name = plan.Name
				}
			}
			told := newProgress(io.err, false)
			l, err := chosen.attach()
			if err != nil {
				return err
			}
			if err := l.Down(cmd.Context()); err != nil {
				return err
			}
			told.done(fmt.Sprintf("%s is down", l.Name()))
			return nil
		},
	}
}

func newSupervise() *cobra.Command {
	return &cobra.Command{
		Use: "supervise", Short: "Be the supervisor of a laboratory", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if status := lab.Supervise(); status != 0 {
				return statusError(status)
			}
			return nil
		},
	}
}
