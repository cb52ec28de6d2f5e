package lab_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/netns"
	"github.com/plexlab-dev/plexlab/topo"
)

// TestWhatCannotBeBuilt asks for labs that cannot be. Each gives one error that names the
// thing and its place, and leaves no supervisor.
func TestWhatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	impatient := tiny()
	impatient.ReadyTimeout = 3 * time.Second
	missing := tiny()
	missing.Start = []string{"/no/such/stackd"}
	application := func(node string, a topo.PlanApplication) func(*topo.Plan) {
		return func(p *topo.Plan) { nodeOf(p, node).Applications = []topo.PlanApplication{a} }
	}
	for _, c := range []struct {
		name    string
		change  func(*topo.Plan)
		options lab.Options
		want    []string
	}{
		{"a stack ends", func(p *topo.Plan) { nodeOf(p, "MVS2").Stack.Profile = "die" }, lab.Options{},
			[]string{"stack MVS2 ended: exit status 1", "the end of its log:", "too much for me"}},
		{"a stack never becomes ready", func(p *topo.Plan) { nodeOf(p, "MVS2").Stack.Profile = "mute" }, lab.Options{Implementation: impatient},
			[]string{"stack MVS2 is not ready after 3s", "ready=false, settled=true, members=2 of 2: told to be mute", `MVS2 at 10.1.0.2 with profile "mute"`}},
		{"a stack without a program", nil, lab.Options{Implementations: map[string]*impl.Manifest{"MVS1": missing}},
			[]string{"start stack MVS1 with implementation tiny", "/no/such/stackd", "no such file"}},
		{"an implementation without selection by load", func(p *topo.Plan) {
			p.Selection = topo.Selection{Method: topo.ByWLM, IntervalMS: 1000}
		}, lab.Options{},
			[]string{"distributed by wlm", "implementation tiny of stack MVS1 does not declare the capability selection"}},
		{"an implementation without the routing protocol", func(p *topo.Plan) {
			p.Advertising = topo.Advertising{Method: topo.ByOSPF, HelloS: 1, DeadS: 3, BFDMS: 200}
		}, lab.Options{},
			[]string{"advertised by ospf", "implementation tiny of stack MVS1 does not declare the capability advertising"}},
		{"no implementation for anybody", nil, lab.Options{Implementations: map[string]*impl.Manifest{"MVS7": tiny()}},
			[]string{"MVS7, which is no stack"}},
		{"an application ends", application("CLIENT", topo.PlanApplication{Name: "APPA", Command: []string{"sh", "-c", "echo no config; exit 3"}}), lab.Options{},
			[]string{"application APPA on CLIENT: ended at once: exit status 3", "no config"}},
		{"an application ends well", application("CLIENT", topo.PlanApplication{Name: "APPA", Command: []string{"true"}}), lab.Options{},
			[]string{"application APPA on CLIENT: ended at once: exit status 0, and nothing of it listens; its log is empty"}},
		{"an application without a program", application("CLIENT", topo.PlanApplication{Name: "APPA", Command: []string{"/no/such/server"}}), lab.Options{},
			[]string{"application APPA on CLIENT", "no such file"}},
		{"an application's file leads out", application("MVS1", topo.PlanApplication{Name: "APPA", Command: []string{"true"}, Files: map[string]string{"../../x": ""}}), lab.Options{},
			[]string{"application APPA on MVS1", `file "../../x" leads out`}},
		{"an address twice", func(p *topo.Plan) {
			l := &nodeOf(p, "MVS1").Links[0]
			l.Addresses = append(l.Addresses, l.Addresses[0])
		}, lab.Options{},
			[]string{"build the networks: node MVS1: link xcf0: address 10.1.0.1/16: file exists"}},
		{"a route to nowhere", func(p *topo.Plan) { nodeOf(p, "CLIENT").Routes[0].Via = address("192.0.2.1:0").Addr() }, lab.Options{},
			[]string{"node CLIENT: route 0.0.0.0/0 via 192.0.2.1: network is unreachable"}},
		{"a port twice", func(p *topo.Plan) { nodeOf(p, "MVS1").Links[1].Port = nodeOf(p, "MVS1").Links[0].Port }, lab.Options{},
			[]string{"node MVS1: link ext0", "file exists"}},
		{"a name that is none", nil, lab.Options{Name: "a/b"}, []string{`name of the lab "a/b"`}},
		{"no supervisor", nil, lab.Options{Supervisor: []string{"/no/such/plexlab"}}, []string{"start the supervisor", "no such file"}},
		{"a supervisor that is none", nil, lab.Options{Supervisor: []string{"sh", "-c", "echo what is this >&2"}}, []string{"the supervisor ended: what is this"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := sysplex(2)
			if c.change != nil {
				c.change(plan)
			}
			if c.options.Name == "" {
				c.options.Name = labName(t)
			}
			if c.options.Implementation == nil {
				c.options.Implementation = tiny()
			}
			l, err := lab.Up(bounded(t), plan, c.options)
			if err == nil {
				l.Close()
				t.Fatal("it was built")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if pid := supervisorOf(t, c.options.Name); pid != 0 {
				t.Errorf("supervisor %d is still there", pid)
			}
		})
	}
}

func TestNameTaken(t *testing.T) {
	t.Parallel()
	name := labName(t)
	first := up(t, sysplex(1), lab.Options{Name: name})
	if _, err := lab.Up(bounded(t), sysplex(1), lab.Options{Name: name, Implementation: tiny()}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a second lab of the name: %v", err)
	}
	if _, err := first.Status(bounded(t)); err != nil {
		t.Errorf("the first one: %v", err)
	}
}

func TestNoSuchLab(t *testing.T) {
	t.Parallel()
	if _, err := lab.Attach(labName(t)); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
}

// TestSuperviseByHand runs the supervisor's command as nobody should.
func TestSuperviseByHand(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	text, exited := output(t, l, "MVS1", lab.ExecSpec{Argv: []string{"/proc/self/exe", "supervise"}})
	if exited.Code != 2 || !strings.Contains(text, "started by plexlab itself") {
		t.Errorf("%q, %s", text, exited)
	}
}

// TestPlansAndKeys checks what a client can ask a lab about itself.
func TestPlansAndKeys(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(2), lab.Options{})
	plan, err := l.Plan(bounded(t))
	if err != nil || len(plan.Nodes) != 4 || plan.Nodes[1].Stack.XCF != address("10.1.0.1:0").Addr() {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	key, err := l.Key(bounded(t))
	if err != nil || len(key) != 32 {
		t.Errorf("key of %d bytes, %v", len(key), err)
	}
	status, err := l.Status(bounded(t))
	if err != nil || status.Name != l.Name() || status.Plex != "PLEX1" || len(status.Nodes) != 4 {
		t.Errorf("status: %+v, %v", status, err)
	}
	found, err := lab.Attach(l.Name())
	if err != nil {
		t.Fatal(err)
	}
	if found.Pid() != l.Pid() {
		t.Errorf("attached to process %d, want %d", found.Pid(), l.Pid())
	}
	// Files of the lab are reached from outside, and are nowhere else.
	profile := "/dev/shm/nodes/MVS1/profile"
	if _, err := os.Stat(l.RootPath() + profile); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(profile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the host has a file of the lab: %v", err)
	}
}

// TestNamesOnRequest gives the namespaces names for ip-netns, and checks that they lead there.
func TestNamesOnRequest(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("writing to /run/netns takes root")
	}
	l := up(t, sysplex(1), lab.Options{Names: true})
	path := "/run/netns/" + l.Name() + "-MVS1"
	named, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	if want := stateOf(t, l, "MVS1").Namespace; named.ID() != want {
		t.Errorf("the name leads to %s, want %s", named, want)
	}
	if err := l.Down(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Down the name is still there: %v", err)
	}
}
