package main

import (
	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/topo"
)

func newPlan(io streams) *cobra.Command {
	var asJSON, picture bool
	command := &cobra.Command{
		Use: "plan FILE", Short: "Print what a topology comes to; nothing is touched", GroupID: groupFile,
		Long: `Reads and checks a topology file and prints the plan of it: every network, node, link, address,
route and process. The same file gives the same plan, byte for byte.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopology,
		RunE: func(_ *cobra.Command, args []string) error {
			if asJSON && picture {
				return usagef("plan: --json or --picture, not both")
			}
			topology, plan, err := loadTopology(args[0])
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(io.out, plan)
			case picture:
				drawn, err := topology.Picture()
				if err != nil {
					return usageError{err}
				}
				_, err = io.out.WriteString(drawn)
				return err
			}
			return plan.Fprint(io.out)
		},
	}
	addJSON(command, &asJSON)
	command.Flags().BoolVar(&picture, "picture", false, "draw it")
	return command
}

// loadTopology reads a topology file; every error is one of the input.
func loadTopology(file string) (*topo.Topology, topo.Plan, error) {
	topology, err := topo.Load(file)
	if err != nil {
		return nil, topo.Plan{}, usageError{err}
	}
	plan, err := topology.Plan()
	if err != nil {
		return nil, topo.Plan{}, usageError{err}
	}
	return topology, plan, nil
}

func newSchema(io streams) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of topology files, for editors", GroupID: groupFile,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.out.Write(topo.Schema)
			return err
		},
	}
}
