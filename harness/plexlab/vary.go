package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/topo"
)

// varyLimit bounds how long a stack may take: leaving its group, it waits for its partners.
const varyLimit = 10 * time.Second

func newVary(io streams) *cobra.Command {
	var (
		chosen choice
		asJSON bool
	)
	command := &cobra.Command{
		Use: "vary STACK COMMAND [TARGET]", Short: "Give a running stack an operator's command (VARY)", GroupID: groupLab,
		Long: `Gives a running stack an operator's command:

  quiesce [TARGET]   no new connections; those that there are go on
  resume [TARGET]    ends it
                     TARGET: a port, of every DVIPA (60) or of one (192.168.44.10:60, DVA1:60, [2001:db8::1]:60), or an
                     application that listens (APPA); the whole stack without one. A port may have no listener yet
  deactivate DVIPA   the stack neither owns the DVIPA nor backs it up; a backup takes it over
  reactivate DVIPA   ends it; a primary takes its DVIPA back
  leavegroup         gives up its DVIPAs and leaves the XCF group in order; its applications go on
  joingroup          comes back

Symbols of the topology can stand for DVIPAs. What a command made lasts until the opposite one, or the end of the stack.`,
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: completeArguments(&chosen, stacks, varyCommands, varyTargets, noMore),
		RunE: func(cmd *cobra.Command, args []string) error {
			return chosen.withStack(cmd.Context(), args[0], func(l *lab.Lab, stack lab.StatusNode, symbols map[string]netip.Addr) error {
				request, err := varyRequest(args[1:], symbols)
				if err != nil {
					return err
				}
				return vary(cmd.Context(), io, l, stack, request, asJSON)
			})
		},
	}
	chosen.addFlag(command)
	addJSON(command, &asJSON)
	return command
}

// vary asks the stack and tells what it answers.
func vary(ctx context.Context, io streams, l *lab.Lab, stack lab.StatusNode, request control.VaryRequest, asJSON bool) error {
	answer, err := askStack(ctx, l, stack, varyLimit, func(ctx context.Context, client *control.Client) (control.VaryAnswer, error) {
		return client.Vary(ctx, request)
	})
	if err != nil {
		return fmt.Errorf("stack %s: %w", stack.Name, err)
	}
	if asJSON {
		return printJSON(io.out, answer)
	}
	fmt.Fprintf(io.out, "%s: %s\n", stack.Name, answer.Text)
	return nil
}

// varyRequest reads a command and its target, if there is one.
func varyRequest(words []string, symbols map[string]netip.Addr) (control.VaryRequest, error) {
	request := control.VaryRequest{Command: control.VaryCommand(strings.ToLower(words[0]))}
	if len(words) == 2 {
		target, err := varyTarget(request.Command, words[1], symbols)
		if err != nil {
			return request, err
		}
		request.Target = target
	}
	if err := request.Check(); err != nil {
		return request, usageError{err}
	}
	return request, nil
}

// varyTarget reads a port, a port of a DVIPA, a DVIPA or the name of an application, as the command has it. A symbol of
// the topology stands for its address.
func varyTarget(command control.VaryCommand, word string, symbols map[string]netip.Addr) (control.VaryTarget, error) {
	dvipa, known := dvipaNamed(word, symbols)
	if !known && (command == control.VaryDeactivate || command == control.VaryReactivate) {
		return control.VaryTarget{}, usagef("%s %s: expected a DVIPA, that is an address or a symbol of the topology; %s", command, word, symbolsOf(symbols))
	}
	if number, err := strconv.ParseUint(word, 10, 64); err == nil {
		if number < 1 || number > 65535 {
			return control.VaryTarget{}, usagef("port %d: expected 1 to 65535", number)
		}
		return control.VaryTarget{Port: uint16(number)}, nil
	}
	if known {
		return control.VaryTarget{DVIPA: dvipa}, nil
	}
	if colon := strings.LastIndexByte(word, ':'); colon >= 0 {
		dvipa, ok := dvipaNamed(strings.Trim(word[:colon], "[]"), symbols)
		port, err := strconv.ParseUint(word[colon+1:], 10, 16)
		if !ok || err != nil || port == 0 {
			return control.VaryTarget{}, usagef("target %q: expected a DVIPA or a symbol of the topology, and a port from 1 to 65535; %s", word, symbolsOf(symbols))
		}
		return control.VaryTarget{DVIPA: dvipa, Port: uint16(port)}, nil
	}
	if err := profile.CheckApplication(word); err != nil {
		return control.VaryTarget{}, usagef("target %q: no port and no DVIPA; as an application: %w", word, err)
	}
	return control.VaryTarget{Application: word}, nil
}

// symbolsOf names the symbols that there are.
func symbolsOf(symbols map[string]netip.Addr) string {
	if len(symbols) == 0 {
		return "the topology has no symbols"
	}
	return "symbols are " + strings.Join(slices.Sorted(maps.Keys(symbols)), ", ")
}

// dvipaNamed is the address that a word is, or stands for.
func dvipaNamed(word string, symbols map[string]netip.Addr) (netip.Addr, bool) {
	if address, ok := symbols[strings.ToUpper(word)]; ok {
		return address, true
	}
	address, err := netip.ParseAddr(word)
	return address, err == nil
}

func varyCommands(*topo.Plan, []string) []string {
	var names []string
	for _, command := range control.VaryCommands() {
		names = append(names, string(command))
	}
	return names
}

// varyTargets are what the command that is given can be about.
func varyTargets(plan *topo.Plan, before []string) []string {
	var names []string
	switch control.VaryCommand(strings.ToLower(before[1])) {
	case control.VaryQuiesce, control.VaryResume:
		names = applicationsOf(plan, before)
	case control.VaryDeactivate, control.VaryReactivate:
		for _, name := range slices.Sorted(maps.Keys(plan.Symbols)) {
			names = append(names, cobra.CompletionWithDesc(name, plan.Symbols[name].String()))
		}
	}
	return names
}
