package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/topo"
)

// obeyLimit bounds how long a stack may take to obey: it may have the ports of many connections
// to mark.
const obeyLimit = 10 * time.Second

func newObey(io streams) *cobra.Command {
	var (
		chosen         choice
		dryRun, asJSON bool
	)
	command := &cobra.Command{
		Use: "obey STACK FILE", Short: "Add definitions to those of a running stack, or change them (VARY OBEY)", GroupID: groupLab,
		Long: `Has a running stack obey the VIPADYNAMIC definitions in FILE. A statement replaces those of its
kind for the same address, range or application; everything else stays as it is. The symbols of
the topology can be used. Where the file is wrong nothing changes, and each mistake is told with its place.

With --dry-run nothing changes either way: the stack says what would, and what in the plex is at
odds with the new definitions.`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeArguments(&chosen, stacks, anyFile, noMore),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[1])
			if err != nil {
				return usageError{err}
			}
			return chosen.withStack(cmd.Context(), args[0], func(l *lab.Lab, stack lab.StatusNode, symbols map[string]netip.Addr) error {
				request := control.ObeyRequest{File: args[1], Text: string(text), Symbols: symbols, DryRun: dryRun}
				return obey(cmd.Context(), io, l, stack, request, asJSON)
			})
		},
	}
	chosen.addFlag(command)
	addJSON(command, &asJSON)
	command.Flags().BoolVar(&dryRun, "dry-run", false, "say what would change and what conflicts; change nothing")
	return command
}

// inUseLimit bounds how long each other stack may take to tell the ports that it uses.
const inUseLimit = 2 * time.Second

// inUse asks the other stacks that run which ports they use, and says of which ones that is not known.
func inUse(stacks []lab.StatusNode, obeys string, ask func(lab.StatusNode) (control.InUse, error)) (told []control.InUse, unknown []string) {
	for _, stack := range stacks {
		if stack.Name == obeys {
			continue
		}
		switch answer, err := ask(stack); {
		case err == nil:
			told = append(told, answer)
		case !errors.Is(err, errNotRunning): // else it has none
			unknown = append(unknown, fmt.Sprintf("which ports %s uses is known from the tables of %s alone: %v", stack.Name, obeys, err))
		}
	}
	return told, unknown
}

// obey asks the stack and tells what it answers.
func obey(ctx context.Context, io streams, l *lab.Lab, stack lab.StatusNode, request control.ObeyRequest, asJSON bool) error {
	progress := newProgress(io.err, asJSON)
	stacks, err := stacksOf(ctx, l)
	if err != nil {
		return err
	}
	var unknown []string
	request.InUse, unknown = inUse(stacks, stack.Name, func(other lab.StatusNode) (control.InUse, error) {
		return askStack(ctx, l, other, inUseLimit, func(ctx context.Context, client *control.Client) (control.InUse, error) {
			return client.InUse(ctx)
		})
	})
	for _, note := range unknown {
		progress.step(note)
	}
	progress.step(fmt.Sprintf("%s reads %s", stack.Name, request.File))
	answer, err := askStack(ctx, l, stack, obeyLimit, func(ctx context.Context, client *control.Client) (control.ObeyAnswer, error) {
		return client.Obey(ctx, request)
	})
	if err != nil {
		progress.clear()
		return refusalOf(stack.Name, err)
	}
	if asJSON {
		return printJSON(io.out, answer)
	}
	progress.done(summaryOf(stack.Name, answer))
	printEffects(io.out, "", answer.Changes)
	printEffects(io.out, "conflict: ", answer.Conflicts)
	return nil
}

// refusalOf makes the mistakes of a text what those of every file are.
func refusalOf(stack string, err error) error {
	var refused *control.StatusError
	if !errors.As(err, &refused) || len(refused.Errors) == 0 {
		return fmt.Errorf("stack %s: %w", stack, err)
	}
	var mistakes topo.Errors
	for _, e := range refused.Errors {
		mistakes.Add(profile.Position{File: e.File, Line: e.Line, Column: e.Column}, "%s", e.Message)
	}
	return mistakes.Err()
}

func summaryOf(stack string, answer control.ObeyAnswer) string {
	effects := fmt.Sprintf("%s, %s", count(len(answer.Changes), "change"), count(len(answer.Conflicts), "conflict"))
	if answer.Applied {
		return fmt.Sprintf("%s has obeyed: %s", stack, effects)
	}
	return fmt.Sprintf("%s would obey: %s; nothing is changed", stack, effects)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printEffects writes each statement once, and below it what comes of it.
func printEffects(to io.Writer, kind string, effects []control.ObeyEffect) {
	last := ""
	for _, e := range effects {
		if e.Statement != last {
			fmt.Fprintln(to, e.Statement)
			last = e.Statement
		}
		fmt.Fprintf(to, "  %s%s\n", kind, e.Text)
	}
}
