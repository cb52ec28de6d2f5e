package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/puppet"
)

// newPuppet is the program of the suites that does with sockets what it is told.
func newPuppet(io streams) *cobra.Command {
	var inherited []string
	command := &cobra.Command{
		Use: "puppet", Short: "Do with sockets what standard input says", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config := puppet.Config{Child: func(sockets []string) []string {
				return []string{"/proc/self/exe", cmd.Name(), "--inherit", strings.Join(sockets, ",")}
			}}
			if cmd.Flags().Changed("inherit") {
				config.Inherited = append([]string{}, inherited...)
			}
			return named("puppet", puppet.Run(io.in, io.out, config))
		},
	}
	command.Flags().StringSliceVar(&inherited, "inherit", nil, "names of the sockets that a child of a puppet was started with")
	return command
}
