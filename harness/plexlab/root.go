package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// streams are what a command reads and writes. They are files because exec hands them on as
// descriptors.
type streams struct{ in, out, err *os.File }

// run carries out one command line and returns its exit status.
func run(ctx context.Context, args []string, io streams) int {
	root := newRoot(io)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code, message := outcome(err)
	if message != "" {
		fmt.Fprintln(io.err, message)
	}
	return code
}

func newRoot(io streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "plexlab",
		Short: "A virtual Sysplex on one Linux machine",
		Long: `plexlab builds a virtual Sysplex on one Linux machine: communication protocol stacks, each in
a network namespace of its own, that share dynamic VIPAs and distribute connections.

` + exitStatusHelp,
		Version: version,
		Args:    cobra.ArbitraryArgs,
		RunE: func(root *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			return unknownCommand(root, args[0])
		},
		// run prints errors, in one line.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddGroup(
		&cobra.Group{ID: groupLab, Title: "A laboratory:"},
		&cobra.Group{ID: groupLook, Title: "Looking into it:"},
		&cobra.Group{ID: groupFile, Title: "Files and this machine:"},
	)
	root.AddCommand(
		newUp(io), newDown(io), newExec(io), newFault(io),
		newList(io), newDisplay(io), newLogs(io),
		newPlan(io), newSchema(io), newCheck(io), newVersion(io),
		newSupervise(), newReport(io), newBench(io), newLoad(io), newProbe(io),
	)
	root.SetHelpCommandGroupID(groupFile)
	root.SetCompletionCommandGroupID(groupFile)
	for _, command := range root.Commands() {
		wrapArgs(command)
	}
	return root
}

// unknownCommand is the error of a command that root does not have, with those that look alike.
func unknownCommand(root *cobra.Command, name string) error {
	if alike := root.SuggestionsFor(name); len(alike) > 0 {
		return usagef("no command %q; did you mean %s?", name, strings.Join(alike, " or "))
	}
	return usagef("no command %q; see: plexlab --help", name)
}

// The groups of commands in the help text.
const (
	groupLab  = "lab"
	groupLook = "look"
	groupFile = "file"
)

// wrapArgs makes wrong arguments of command, and of those below it, usage errors.
func wrapArgs(command *cobra.Command) {
	if check := command.Args; check != nil {
		command.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%s: %w; see: %s --help", cmd.CommandPath(), err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, below := range command.Commands() {
		wrapArgs(below)
	}
}
