package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// choice is the laboratory that a command is about.
type choice struct{ name string }

// labVariable is the environment's default for --lab.
const labVariable = "PLEXLAB_LAB"

// addFlag gives command the flag that chooses among several.
func (c *choice) addFlag(command *cobra.Command) {
	command.Flags().StringVar(&c.name, "lab", "", "`NAME` of the laboratory, where several are up; $"+labVariable+" if not given")
	// The error is for a flag that does not exist.
	_ = command.RegisterFlagCompletionFunc("lab", completeLabFlag)
}

// attach finds it: the one that is named, or the only one of this user.
func (c *choice) attach() (*lab.Lab, error) {
	name := cmp.Or(c.name, os.Getenv(labVariable))
	if name == "" {
		var err error
		if name, err = onlyLab(); err != nil {
			return nil, err
		}
	}
	found, err := lab.Attach(name)
	if errors.Is(err, unix.ENOENT) {
		return nil, notFoundf("no laboratory %s is up; see: plexlab list", name)
	}
	return found, err
}

// withStack attaches to the laboratory and does something with one of its stacks and the symbols of its topology.
func (c *choice) withStack(ctx context.Context, name string, do func(*lab.Lab, lab.StatusNode, map[string]netip.Addr) error) error {
	l, err := c.attach()
	if err != nil {
		return err
	}
	defer l.Close()
	stack, err := findNode(ctx, l, name, topo.KindStack)
	if err != nil {
		return err
	}
	plan, err := l.Plan(ctx)
	if err != nil {
		return err
	}
	return do(l, stack, plan.Symbols)
}

func onlyLab() (string, error) {
	labs, err := lab.List()
	if err != nil {
		return "", err
	}
	own := slices.DeleteFunc(slices.Clone(labs), func(f lab.Found) bool { return f.UID != os.Getuid() })
	switch {
	case len(own) == 1:
		return own[0].Name, nil
	case len(own) > 1:
		names := make([]string, len(own))
		for i, f := range own {
			names[i] = f.Name
		}
		return "", usagef("several laboratories are up: %s; choose one with --lab or $%s", strings.Join(names, ", "), labVariable)
	case len(labs) > 0:
		return "", notFoundf("no laboratory of yours is up; %s belongs to user %d: use sudo", labs[0].Name, labs[0].UID)
	}
	return "", notFoundf("no laboratory is up; start one with: plexlab up FILE")
}

// findNode resolves the name of a node, which may be spelled in any case. kinds restricts what
// it may be; none stands for all.
func findNode(ctx context.Context, l *lab.Lab, name string, kinds ...topo.Kind) (lab.StatusNode, error) {
	status, err := l.Status(ctx)
	if err != nil {
		return lab.StatusNode{}, err
	}
	var names []string
	for _, node := range status.Nodes {
		if len(kinds) > 0 && !slices.Contains(kinds, node.Kind) {
			continue
		}
		if strings.EqualFold(node.Name, name) {
			return node, nil
		}
		names = append(names, node.Name)
	}
	what := "node"
	if len(kinds) == 1 {
		what = string(kinds[0])
	}
	return lab.StatusNode{}, notFoundf("no %s %s in laboratory %s; there are %s", what, name, l.Name(), strings.Join(names, ", "))
}

// stacksOf lists the stacks of a laboratory in the order of its plan.
func stacksOf(ctx context.Context, l *lab.Lab) ([]lab.StatusNode, error) {
	status, err := l.Status(ctx)
	if err != nil {
		return nil, err
	}
	stacks := slices.DeleteFunc(status.Nodes, func(n lab.StatusNode) bool { return n.Kind != topo.KindStack })
	if len(stacks) == 0 {
		return nil, notFoundError{fmt.Errorf("laboratory %s has no stacks", l.Name())}
	}
	return stacks, nil
}

// errNotRunning is why a stack does not answer.
var errNotRunning = errors.New("the stack does not run")
