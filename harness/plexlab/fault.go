package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// verbs are the faults, with the arguments that lab.Fault takes.
var verbs = []struct {
	name, arguments, short string
	check                  cobra.PositionalArgs
	complete               []candidates
}{
	{"kill", "STACK", "End a stack at once: links down, applications ended, as a machine that fails", cobra.ExactArgs(1), []candidates{stacks, noMore}},
	{"start", "STACK", "Start a stack that has ended, and its applications", cobra.ExactArgs(1), []candidates{stacks, noMore}},
	{"freeze", "STACK", "Stop the process of a stack; its kernel goes on", cobra.ExactArgs(1), []candidates{stacks, noMore}},
	{"thaw", "STACK", "Let a frozen stack go on", cobra.ExactArgs(1), []candidates{stacks, noMore}},
	{"link-down", "NODE LINK", "Pull the cable of a link, such as ext0", cobra.ExactArgs(2), []candidates{nodes, linksOf, noMore}},
	{"link-up", "NODE LINK", "Put it back", cobra.ExactArgs(2), []candidates{nodes, linksOf, noMore}},
	{"drop", "NETWORK FROM TO", "Lose what one node sends to another on a network; the other way stays open", cobra.ExactArgs(3),
		[]candidates{networks, nodesOn, nodesOn, noMore}},
	{"partition", "NETWORK NODE[,NODE...] ...", "Split a network into groups; nodes not named form one more", cobra.MinimumNArgs(2),
		[]candidates{networks, nodesOn}},
	{"heal", "NETWORK", "End every drop and partition of a network", cobra.ExactArgs(1), []candidates{networks, noMore}},
}

func newFault(streams) *cobra.Command {
	var chosen choice
	command := &cobra.Command{Use: "fault", Short: "Break something, or put it right", GroupID: groupLab}
	for _, verb := range verbs {
		below := &cobra.Command{
			Use: verb.name + " " + verb.arguments, Short: verb.short, Args: verb.check,
			ValidArgsFunction: completeArguments(&chosen, verb.complete...),
			RunE: func(cmd *cobra.Command, args []string) error {
				l, err := chosen.attach()
				if err != nil {
					return err
				}
				defer l.Close()
				switch first, _, _ := strings.Cut(verb.arguments, " "); first {
				case "STACK":
					args[0], err = nodeName(cmd.Context(), l, args[0], topo.KindStack)
				case "NODE":
					args[0], err = nodeName(cmd.Context(), l, args[0])
				}
				if err != nil {
					return err
				}
				return notFound(l.Fault(cmd.Context(), verb.name, args...))
			},
		}
		chosen.addFlag(below)
		command.AddCommand(below)
	}
	return command
}

// nodeName is the name of a node as the plan spells it.
func nodeName(ctx context.Context, l *lab.Lab, name string, kinds ...topo.Kind) (string, error) {
	node, err := findNode(ctx, l, name, kinds...)
	return node.Name, err
}
