package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/mutant"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// newMutants tries wrong variants of the reference; make mutants is how a person calls it.
func newMutants(io streams) *cobra.Command {
	var (
		tree, only, named string
		edits             bool
		jobs              int
	)
	command := &cobra.Command{
		Use: "mutants", Short: "Try whether the suites find wrong variants of the reference", Hidden: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if jobs < 1 {
				return usagef("--jobs must be above zero")
			}
			chosen, err := regexp.Compile(only)
			if err != nil {
				return usagef("--only: %w", err)
			}
			c, mutants, err := mutantsOf(tree, chosen)
			switch {
			case err != nil:
				return err
			case edits:
				return mutant.Applies(os.DirFS(c.Tree.Root), mutants)
			case named != "":
				r, err := report.Open(named)
				if err == nil {
					err = mutant.Named(mutants, r)
				}
				return err
			}
			c.Jobs = jobs
			c.Told = func(r mutant.Row) { fmt.Fprintf(io.err, "%-10s %s\n", r.Outcome, r.ID) }
			return runMutants(cmd.Context(), io, c, mutants)
		},
	}
	flags := command.Flags()
	flags.StringVar(&tree, "tree", ".", "`DIRECTORY` of the sources, with what scripts/build and scripts/suites make")
	flags.StringVar(&only, "only", "", "`REGEXP` of the ids to try")
	flags.StringVar(&named, "named", "", "only look whether the specs named for them are in the report in `DIRECTORY`")
	flags.BoolVar(&edits, "edits", false, "only look whether their edits apply to the sources")
	flags.IntVar(&jobs, "jobs", 4, "`NUMBER` of mutants that are tried side by side")
	return command
}

// runMutants writes the summary, of a run that ended early too; what an earlier one left says nothing of this one.
func runMutants(ctx context.Context, io streams, c mutant.Config, mutants []mutant.Mutant) error {
	path := filepath.Join(c.Out, "summary.json")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	summary, ended := mutant.Run(ctx, c, mutants)
	if summary == nil {
		return ended
	}
	text, err := summary.JSON()
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	switch err := errors.Join(ended, err, summary.Print(io.out)); {
	case err != nil:
		return err
	case !summary.Good():
		return statusError(exitFailed)
	}
	return nil
}

// mutantsOf are the mutants of a tree whose ids match, and how they are run.
func mutantsOf(tree string, chosen *regexp.Regexp) (mutant.Config, []mutant.Mutant, error) {
	root, err := filepath.Abs(tree)
	if err != nil {
		return mutant.Config{}, nil, fmt.Errorf("find the tree: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return mutant.Config{}, nil, fmt.Errorf("find the program itself: %w", err)
	}
	builder, err := mutant.Invoker()
	if err != nil {
		return mutant.Config{}, nil, err
	}
	all, err := mutant.Load(os.DirFS(filepath.Join(root, "fixtures", "mutants")))
	if err != nil {
		return mutant.Config{}, nil, err
	}
	var mutants []mutant.Mutant
	for _, m := range all {
		if chosen.MatchString(m.ID) {
			mutants = append(mutants, m)
		}
	}
	if len(mutants) == 0 {
		return mutant.Config{}, nil, usagef("no mutant has an id that matches %s", chosen)
	}
	out := filepath.Join(root, "out")
	return mutant.Config{
		Tree: mutant.Tree{
			Root: root, Manifest: "fixtures/implementations/reference.yaml",
			Programs: "{{.Dir}}/../../out/bin/", Builder: builder,
		},
		Suites: filepath.Join(out, "suites"), Program: program, Out: filepath.Join(out, "mutants"),
		Only: chosen.String(), Of: len(all),
	}, mutants, nil
}
