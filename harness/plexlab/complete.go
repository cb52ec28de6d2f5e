package main

import (
	"context"
	"slices"
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

func completeLab(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return labNames()
}

func completeLabFlag(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return labNames()
}

func labNames() ([]string, cobra.ShellCompDirective) {
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

// candidates are what an argument may be, by the plan of the laboratory and the arguments
// before it.
type candidates func(plan *topo.Plan, before []string) []string

// completeArguments completes each argument from its candidates, and all that follow the last as
// the last.
func completeArguments(c *choice, arguments ...candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		argument := arguments[min(len(args), len(arguments)-1)]
		if argument == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		plan, err := planOf(cmd.Context(), c)
		if err != nil {
			plan = new(topo.Plan) // what no laboratory is needed for is left
		}
		used := func(name string) bool { return slices.Contains(args, name) }
		return slices.DeleteFunc(argument(plan, args), used), cobra.ShellCompDirectiveNoFileComp
	}
}

// planOf asks the chosen laboratory for its plan.
func planOf(ctx context.Context, c *choice) (*topo.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	l, err := c.attach()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.Plan(ctx)
}

// anyFile leaves an argument to the shell.
var anyFile candidates

func noMore(*topo.Plan, []string) []string { return nil }

func nodes(plan *topo.Plan, _ []string) []string {
	return namesOf(plan, func(topo.PlanNode) bool { return true })
}

func stacks(plan *topo.Plan, _ []string) []string {
	return namesOf(plan, func(n topo.PlanNode) bool { return n.Kind == topo.KindStack })
}

// nodesOn are those with a link to the network that the first argument names.
func nodesOn(plan *topo.Plan, before []string) []string {
	return namesOf(plan, func(n topo.PlanNode) bool {
		return slices.ContainsFunc(n.Links, func(l topo.PlanLink) bool { return l.Network == before[0] })
	})
}

func networks(plan *topo.Plan, _ []string) []string {
	var names []string
	for _, network := range plan.Networks {
		names = append(names, network.Name)
	}
	return names
}

// linksOf are those of the node that the first argument names.
func linksOf(plan *topo.Plan, before []string) []string {
	var names []string
	for _, node := range plan.Nodes {
		for _, link := range node.Links {
			if node.Name == before[0] {
				names = append(names, cobra.CompletionWithDesc(link.Name, link.Network))
			}
		}
	}
	return names
}

// applicationsOf are those of the node that the first argument names.
func applicationsOf(plan *topo.Plan, before []string) []string {
	var names []string
	for _, node := range plan.Nodes {
		for _, application := range node.Applications {
			if node.Name == before[0] {
				names = append(names, application.Name)
			}
		}
	}
	return names
}

func reports(*topo.Plan, []string) []string {
	var names []string
	for _, report := range netstat.Reports() {
		names = append(names, cobra.CompletionWithDesc(report.Name, report.About))
	}
	return names
}

func namesOf(plan *topo.Plan, wanted func(topo.PlanNode) bool) []string {
	var names []string
	for _, node := range plan.Nodes {
		if wanted(node) {
			names = append(names, node.Name)
		}
	}
	return names
}
