package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/plexlab/netstat"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/topo"
)

// displayLimit bounds how long one stack is waited for: a frozen one never answers.
const displayLimit = 3 * time.Second

func newDisplay(io streams) *cobra.Command {
	var (
		chosen choice
		asJSON bool
	)
	var about strings.Builder
	for _, report := range netstat.Reports() {
		fmt.Fprintf(&about, "  %-9s %s\n", report.Name, report.About)
	}
	command := &cobra.Command{
		Use: "display REPORT [STACK...]", Short: "Show what stacks know, in the manner of NETSTAT", GroupID: groupLook,
		Long: `Shows what the stacks know, or all of them where none is named. The reports:

` + about.String() + `
With --json, one object with the answer of each stack by its name.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeArguments(&chosen, reports, stacks),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, known := netstat.ByName(strings.ToLower(args[0]))
			if !known {
				return usagef("no report %q; see: plexlab display --help", args[0])
			}
			l, err := chosen.attach()
			if err != nil {
				return err
			}
			defer l.Close()
			stacks, err := chooseStacks(cmd.Context(), l, args[1:])
			if err != nil {
				return err
			}
			return display(cmd.Context(), io, l, report, stacks, asJSON)
		},
	}
	chosen.addFlag(command)
	addJSON(command, &asJSON)
	return command
}

// chooseStacks finds the stacks of those names; none stands for all.
func chooseStacks(ctx context.Context, l *lab.Lab, names []string) ([]lab.StatusNode, error) {
	if len(names) == 0 {
		return stacksOf(ctx, l)
	}
	stacks := make([]lab.StatusNode, len(names))
	for i, name := range names {
		var err error
		if stacks[i], err = findNode(ctx, l, name, topo.KindStack); err != nil {
			return nil, err
		}
	}
	return stacks, nil
}

// display shows the answers that come; stacks that don't answer make the error.
func display(ctx context.Context, io streams, l *lab.Lab, report netstat.Report, stacks []lab.StatusNode, asJSON bool) error {
	answers := map[string]any{}
	var problems []error
	for i, stack := range stacks {
		answer, err := askStack(ctx, l, stack, displayLimit, report.Ask)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s of stack %s: %w", report.Name, stack.Name, err))
			continue
		}
		answers[stack.Name] = answer
		if asJSON {
			continue
		}
		if i > 0 {
			fmt.Fprintln(io.out)
		}
		if err := report.Write(io.out, stack.Name, answer); err != nil {
			return err
		}
	}
	if asJSON {
		if err := printJSON(io.out, answers); err != nil {
			return err
		}
	}
	return oneLine(problems)
}

// askStack puts a question to a stack, which has until limit to answer it.
func askStack[Answer any](ctx context.Context, l *lab.Lab, stack lab.StatusNode, limit time.Duration,
	question func(context.Context, *control.Client) (Answer, error)) (Answer, error) {
	var none Answer
	if stack.State == lab.StateFailed || stack.State == lab.StateStopped {
		return none, fmt.Errorf("%w (%s)", errNotRunning, stack.State)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := l.Control(stack.Name)
	defer client.Close()
	answer, err := question(ctx, client)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return none, errors.New("its implementation does not offer it")
	case stack.State == lab.StateFrozen && errors.Is(err, context.DeadlineExceeded):
		return none, fmt.Errorf("no answer within %v: the stack is frozen", limit)
	case errors.Is(err, context.DeadlineExceeded):
		return none, fmt.Errorf("no answer within %v: its process is stopped or busy; plexlab logs %s", limit, stack.Name)
	}
	return answer, err
}

// oneLine makes one error of several, without a line break.
func oneLine(problems []error) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return problems[0]
	}
	words := make([]string, len(problems))
	for i, problem := range problems {
		words[i] = problem.Error()
	}
	return errors.New(strings.Join(words, "; "))
}
