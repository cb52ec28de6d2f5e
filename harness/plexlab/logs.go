package main

import (
	"fmt"
	stdio "io"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

func newLogs(io streams) *cobra.Command {
	var (
		chosen choice
		follow bool
	)
	command := &cobra.Command{
		Use: "logs [NODE [APPLICATION]]", Short: "Print the log of a stack, an application or the laboratory", GroupID: groupLook,
		Long: `Prints the log of a stack, of a router's routing daemon, of an application on a node, or, without
arguments, of the laboratory's supervisor.`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeArguments(&chosen, nodes, applicationsOf, noMore),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := chosen.attach()
			if err != nil {
				return err
			}
			defer l.Close()
			var node, application string
			if len(args) > 0 {
				found, err := findNode(cmd.Context(), l, args[0])
				if err != nil {
					return err
				}
				node = found.Name
			}
			if len(args) > 1 {
				application = args[1]
			}
			return printLog(cmd, io, l, node, application, follow)
		},
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on")
	chosen.addFlag(command)
	return command
}

func printLog(cmd *cobra.Command, io streams, l *lab.Lab, node, application string, follow bool) error {
	log, err := l.Logs(cmd.Context(), node, application, follow)
	if err != nil {
		return notFound(err)
	}
	defer log.Close()
	// An interrupt, which ends the context, is how following ends: it reads as the end of the log.
	if _, err = stdio.Copy(io.out, log); err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	return nil
}
