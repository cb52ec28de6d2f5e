package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/plexlab/netstat"
	"github.com/plexlab-dev/plexlab/topo"
)

// listed is a laboratory as list shows it. Status is nil where this user may not ask, or the
// laboratory is not ready yet; Problem then says so.
type listed struct {
	lab.Found
	Status  *lab.Status `json:"status,omitempty"`
	Problem string      `json:"problem,omitempty"`
}

func newList(io streams) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "list [LAB]", Short: "List the laboratories, or what runs in one", GroupID: groupLook,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeLab,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return listOne(cmd.Context(), io, args[0], asJSON)
			}
			found, err := lab.List()
			if err != nil {
				return err
			}
			labs := make([]listed, 0, len(found))
			for _, f := range found {
				if one, up := ask(cmd.Context(), f); up {
					labs = append(labs, one)
				}
			}
			if asJSON {
				return printJSON(io.out, labs)
			}
			return printLabs(io.out, labs)
		},
	}
	addJSON(command, &asJSON)
	return command
}

// ask adds the state of a laboratory, and says whether it is still up.
func ask(ctx context.Context, found lab.Found) (one listed, up bool) {
	one = listed{Found: found}
	l, err := found.Attach()
	if err == nil {
		defer l.Close()
		one.Status, err = l.Status(ctx)
	}
	switch {
	case err == nil:
		return one, true
	case errors.Is(err, unix.ENOENT), errors.Is(err, lab.ErrGone):
		return one, false
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		one.Problem = "belongs to another user"
	case errors.Is(err, unix.EAGAIN):
		one.Problem = "is not ready yet"
	default:
		one.Problem = err.Error()
	}
	one.Status = nil
	return one, true
}

func printLabs(to *os.File, labs []listed) error {
	if len(labs) == 0 {
		_, err := fmt.Fprintln(to, "no laboratory is up")
		return err
	}
	t := table.NewWriter()
	t.SetStyle(netstat.Style)
	t.AppendHeader(table.Row{"Lab", "Plex", "Stacks", "Up since", "User", "Process"})
	for _, l := range labs {
		if l.Status == nil {
			t.AppendRow(table.Row{l.Name, "", l.Problem, "", userName(l.UID), l.Pid})
			continue
		}
		t.AppendRow(table.Row{
			l.Name, l.Status.Plex, stackSummary(l.Status), l.Status.Started.Local().Format(time.DateTime), userName(l.UID), l.Pid,
		})
	}
	return printTable(to, t)
}

// stackSummary counts stacks by their state: "5 running", "4 running, 1 frozen".
func stackSummary(status *lab.Status) string {
	var order []lab.State
	count := map[lab.State]int{}
	for _, node := range status.Nodes {
		if node.Kind != topo.KindStack {
			continue
		}
		if count[node.State] == 0 {
			order = append(order, node.State)
		}
		count[node.State]++
	}
	words := make([]string, len(order))
	for i, state := range order {
		words[i] = fmt.Sprintf("%d %s", count[state], state)
	}
	return strings.Join(words, ", ")
}

// listOne shows every node of a laboratory with what runs on it.
func listOne(ctx context.Context, io streams, name string, asJSON bool) error {
	chosen := choice{name: name}
	l, err := chosen.attach()
	if err != nil {
		return err
	}
	defer l.Close()
	status, err := l.Status(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(io.out, status)
	}
	t := table.NewWriter()
	t.SetStyle(netstat.Style)
	t.AppendHeader(table.Row{"Node", "Kind", "State", "Implementation", "Applications"})
	for _, node := range status.Nodes {
		state := string(node.State)
		if node.Reason != "" {
			state += ": " + node.Reason
		}
		var applications []string
		for _, a := range node.Applications {
			applications = append(applications, strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Name, a.State, a.Reason)))
		}
		t.AppendRow(table.Row{node.Name, node.Kind, state, node.Implementation, strings.Join(applications, ", ")})
	}
	if err := printTable(io.out, t); err != nil {
		return err
	}
	for _, limit := range status.Limits {
		fmt.Fprintln(io.out, "does not work here: "+limit)
	}
	return nil
}

func printTable(to *os.File, t table.Writer) error {
	var text strings.Builder
	for line := range strings.Lines(t.Render()) {
		text.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	_, err := to.WriteString(text.String())
	return err
}

// userName is the user's name, or number where there is none.
func userName(uid int) string {
	found, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return found.Username
}
