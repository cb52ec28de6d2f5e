package main

import (
	"cmp"
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
		// run prints errors, in one line.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see: %s --help", err, cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: groupLab, Title: "A laboratory:"},
		&cobra.Group{ID: groupLook, Title: "Looking into it:"},
		&cobra.Group{ID: groupCertify, Title: "Certification:"},
		&cobra.Group{ID: groupFile, Title: "Files and this machine:"},
	)
	root.AddCommand(
		newUp(io), newDown(io), newExec(io), newObey(io), newVary(io), newFault(io),
		newList(io), newDisplay(io), newLogs(io),
		newCertify(io), newVerify(io),
		newPlan(io), newSchema(io), newCheck(io), newVersion(io),
		newSupervise(), newReport(io), newMutants(io), newCompany(), newBench(io), newLoad(io), newProbe(io),
	)
	root.SetHelpCommandGroupID(groupFile)
	root.SetCompletionCommandGroupID(groupFile)
	root.InitDefaultCompletionCmd()
	explainArgs(root)
	return root
}

// The groups of commands in the help text.
const (
	groupLab     = "lab"
	groupLook    = "look"
	groupCertify = "certify"
	groupFile    = "file"
)

// explainArgs makes wrong arguments of command, and of those below it, errors that say what is
// expected. What has commands below it does nothing by itself.
func explainArgs(command *cobra.Command) {
	if below := command.Commands(); len(below) > 0 {
		command.SuggestionsMinimumDistance = 2
		command.Args, command.RunE = cobra.ArbitraryArgs, helpOrUnknown
		for _, c := range below {
			explainArgs(c)
		}
		return
	}
	check := command.Args
	if check == nil {
		return
	}
	command.Args = func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		_, expected, _ := strings.Cut(strings.Replace(cmd.Use, "[flags] ", "", 1), " ")
		_, name, _ := strings.Cut(cmd.CommandPath(), " ")
		return usagef("%s takes %s; see: %s --help", name, cmp.Or(expected, "no arguments"), cmd.CommandPath())
	}
}

// helpOrUnknown helps with a command that has others below it, or says that the one named is
// not among them.
func helpOrUnknown(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return command.Help()
	}
	if alike := command.SuggestionsFor(args[0]); len(alike) > 0 {
		return usagef("no command %q; did you mean %s?", args[0], strings.Join(alike, " or "))
	}
	return usagef("no command %q; see: %s --help", args[0], command.CommandPath())
}
