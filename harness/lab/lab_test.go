package lab_test

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

func TestNodesReachEachOther(t *testing.T) {
	t.Parallel()
	var steps []lab.Step
	l := up(t, sysplex(2), lab.Options{Progress: func(s lab.Step) { steps = append(steps, s) }})
	for _, s := range steps {
		t.Logf("%8s %-12s %-10s %s", s.Took.Round(10000), s.Kind, s.Object, s.Detail)
	}
	for _, c := range []struct{ name, from, to, at string }{
		{"over XCF", "MVS1", "MVS2", "10.1.0.2:80"},
		{"over XCF with IPv6", "MVS1", "MVS2", "[fd00:1::2]:80"},
		{"through the router", "CLIENT", "MVS1", "203.0.0.1:80"},
		{"back through the router", "MVS2", "CLIENT", "198.51.100.9:80"},
		{"to itself", "MVS1", "MVS1", "127.0.0.1:80"},
	} {
		if got := exchange(t, l, c.from, c.to, address(c.at)); got != "hello" {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

// TestEachNodeHasItsOwnTableOfConnections: asking for the connections of one must not walk those of all.
func TestEachNodeHasItsOwnTableOfConnections(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/sys/net/ipv4/tcp_child_ehash_entries"); err != nil {
		t.Skip("the kernel has no setting tcp_child_ehash_entries")
	}
	l := up(t, sysplex(1), lab.Options{})
	for _, node := range []string{"MVS1", "CLIENT"} {
		if got, _ := output(t, l, node, lab.ExecSpec{Argv: []string{"cat", "/proc/sys/net/ipv4/tcp_ehash_entries"}}); got != "4096\n" {
			t.Errorf("%s: a table of %q buckets, want its own of 4096", node, got)
		}
	}
}

// TestApplicationInTheBackground starts a server that ends its first process, as many do.
func TestApplicationInTheBackground(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"that listens at once": {"/proc/self/exe", "daemon", "203.0.0.1:80"},
		"that listens late, and later than its first process ends": {
			"sh", "-c", "sleep 0.6; (sleep 0.3; exec " + program + " server 203.0.0.1:80) &"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := sysplex(1)
			nodeOf(plan, "MVS1").Applications = []topo.PlanApplication{{Name: "APPA", Command: command}}
			l := up(t, plan, lab.Options{})
			awaitServed(t, l)
			var got lab.StatusApplication
			await(t, func() bool {
				got = stateOf(t, l, "MVS1").Applications[0]
				return got.State == lab.StateBackground && got.Pid == 0
			}, func() string { return fmt.Sprintf("%+v, want it in the background", got) })
			if err := l.Kill(bounded(t), "MVS1"); err != nil {
				t.Fatal(err)
			}
			if got = stateOf(t, l, "MVS1").Applications[0]; got.State != lab.StateFailed {
				t.Errorf("%+v after the end of its stack, want failed", got)
			}
		})
	}
}

func TestApplications(t *testing.T) {
	t.Parallel()
	plan := sysplex(1)
	nodeOf(plan, "MVS1").Applications = []topo.PlanApplication{
		{Name: "APPA", Command: []string{"/proc/self/exe", "server", "203.0.0.1:80"}, Files: map[string]string{"www/index": "x", "{{.Stack}}": ""}},
		{Name: "APPB", Command: []string{"sh", "-c", "echo {{.Stack}} {{.Dir}} $APPLICATION; sleep 1000"}},
	}
	l := up(t, plan, lab.Options{})
	awaitServed(t, l)
	conn, err := l.Dial(bounded(t), "CLIENT", "tcp", nowhere, address("203.0.0.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if want := "APPA has www {{.Stack}}\n"; got != want && got != "APPA has {{.Stack}} www\n" {
		t.Errorf("got %q, want %q", got, want)
	}
}
