package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/plexlab/netstat"
	"github.com/plexlab-dev/plexlab/topo"
)

// completionLimit bounds how long a shell waits for a completion.
const completionLimit = time.Second

func completeTopology(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func completeLab(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	labs, err := lab.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, len(labs))
	for i, found := range labs {
		names[i] = found.Name
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNode completes the names of nodes, after skip arguments of another kind.
func completeNode(c *choice, skip int, kinds ...topo.Kind) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) < skip {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nodeNames(cmd, c, kinds...)
	}
}

func nodeNames(cmd *cobra.Command, c *choice, kinds ...topo.Kind) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	l, err := c.attach()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer l.Close()
	status, err := l.Status(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, node := range status.Nodes {
		for _, kind := range kinds {
			if node.Kind == kind {
				names = append(names, node.Name)
			}
		}
		if len(kinds) == 0 {
			names = append(names, node.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeReport completes the report of display, then the stacks.
func completeReport(c *choice) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nodeNames(cmd, c, topo.KindStack)
		}
		var reports []string
		for _, report := range netstat.Reports() {
			reports = append(reports, cobra.CompletionWithDesc(report.Name, report.About))
		}
		return reports, cobra.ShellCompDirectiveNoFileComp
	}
}
