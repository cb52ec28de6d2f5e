package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// mesh are sockets of several stacks on XCF that hear each other's broadcasts.
type mesh struct {
	t       *testing.T
	sockets map[string]net.PacketConn
	round   int
}

const meshPort = 9999

// newMesh opens a socket on each of the stacks 1 to n.
func newMesh(t *testing.T, l *lab.Lab, n int) *mesh {
	t.Helper()
	m := &mesh{t: t, sockets: map[string]net.PacketConn{}}
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("MVS%d", i)
		conn, err := l.ListenPacket(bounded(t), name, "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), meshPort))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		m.sockets[name] = conn
	}
	return m
}

// broadcast sends text from everybody to everybody.
func (m *mesh) broadcast(text string) {
	m.t.Helper()
	for name, conn := range m.sockets {
		everybody := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("10.1.255.255"), meshPort))
		if _, err := conn.WriteTo([]byte(text+" "+name), everybody); err != nil {
			m.t.Fatalf("broadcast from %s: %v", name, err)
		}
	}
}

// heard reads what a stack has received up to what it has sent itself in the end, and returns
// the senders of round.
func (m *mesh) heard(name, round, end string) []string {
	m.t.Helper()
	conn := m.sockets[name]
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		m.t.Fatal(err)
	}
	var senders, ended []string
	buffer := make([]byte, 64)
	for len(ended) < len(m.sockets) {
		read, _, err := conn.ReadFrom(buffer)
		if err != nil {
			m.t.Fatalf("%s after hearing %v of %s and %v of %s: %v", name, senders, round, ended, end, err)
		}
		text, sender, _ := strings.Cut(string(buffer[:read]), " ")
		switch text {
		case round:
			senders = append(senders, sender)
		case end:
			ended = append(ended, sender)
		}
	}
	slices.Sort(senders)
	return senders
}

// reach says who hears whom while a fault lasts: everybody broadcasts, the fault is healed,
// and everybody broadcasts again. What was lost is then known without any waiting.
func (m *mesh) reach(heal func() error) map[string]string {
	m.t.Helper()
	m.round++
	during, after := fmt.Sprintf("during%d", m.round), fmt.Sprintf("after%d", m.round)
	m.broadcast(during)
	if err := heal(); err != nil {
		m.t.Fatal(err)
	}
	m.broadcast(after)
	reach := map[string]string{}
	for name := range m.sockets {
		reach[name] = strings.Join(m.heard(name, during, after), " ")
	}
	return reach
}

func TestCuts(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(4), lab.Options{})
	m := newMesh(t, l, 4)
	ctx := bounded(t)
	heal := func() error { return l.Heal(ctx, "XCF") }
	all := "MVS1 MVS2 MVS3 MVS4"
	for _, c := range []struct {
		name string
		cut  func() error
		want map[string]string
	}{
		{"nothing", func() error { return nil },
			map[string]string{"MVS1": all, "MVS2": all, "MVS3": all, "MVS4": all}},
		{"drop", func() error { return l.Drop(ctx, "XCF", "MVS1", "MVS2") },
			map[string]string{"MVS1": all, "MVS2": "MVS2 MVS3 MVS4", "MVS3": all, "MVS4": all}},
		{"two drops", func() error {
			return errors.Join(l.Drop(ctx, "XCF", "MVS1", "MVS2"), l.Drop(ctx, "XCF", "MVS3", "MVS1"))
		}, map[string]string{"MVS1": "MVS1 MVS2 MVS4", "MVS2": "MVS2 MVS3 MVS4", "MVS3": all, "MVS4": all}},
		{"one against the rest", func() error { return l.Partition(ctx, "XCF", []string{"MVS3"}) },
			map[string]string{"MVS1": "MVS1 MVS2 MVS4", "MVS2": "MVS1 MVS2 MVS4", "MVS3": "MVS3", "MVS4": "MVS1 MVS2 MVS4"}},
		{"three groups in place of a drop", func() error {
			return errors.Join(l.Drop(ctx, "XCF", "MVS1", "MVS2"), l.Partition(ctx, "XCF", []string{"MVS1", "MVS2"}, []string{"MVS3"}))
		}, map[string]string{"MVS1": "MVS1 MVS2", "MVS2": "MVS1 MVS2", "MVS3": "MVS3", "MVS4": "MVS4"}},
		{"another network", func() error { return l.Partition(ctx, "OUTSIDE", []string{"MVS1"}) },
			map[string]string{"MVS1": all, "MVS2": all, "MVS3": all, "MVS4": all}},
	} {
		if err := c.cut(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		reach := m.reach(heal)
		for name, want := range c.want {
			if reach[name] != want {
				t.Errorf("%s: %s hears %q, want %q", c.name, name, reach[name], want)
			}
		}
	}
	// The outside is still cut.
	if _, err := dialBriefly(t, l, "MVS1", "203.0.0.2:9"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("connect through a partition: %v", err)
	}
}

// dialBriefly tries for a moment.
func dialBriefly(t *testing.T, l *lab.Lab, from, to string) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	return l.Dial(ctx, from, "tcp", nowhere, address(to))
}

func TestLinkDownAndUp(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(2), lab.Options{})
	ctx := bounded(t)
	carrier := func() bool {
		counters, err := l.Counters(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return counters["MVS1"]["ext0"].Carrier
	}
	if !carrier() {
		t.Fatal("the link has no carrier to begin with")
	}
	if err := l.LinkDown(ctx, "MVS1", "ext0"); err != nil {
		t.Fatal(err)
	}
	if carrier() {
		t.Error("the link is down and has its carrier")
	}
	if _, err := dialBriefly(t, l, "CLIENT", "203.0.0.1:9"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("connect over a link that is down: %v", err)
	}
	if got := exchange(t, l, "MVS2", "MVS1", address("10.1.0.1:80")); got != "hello" {
		t.Errorf("over XCF meanwhile: got %q", got)
	}
	if err := l.LinkUp(ctx, "MVS1", "ext0"); err != nil {
		t.Fatal(err)
	}
	// Addresses and the route to the client are still there.
	if got := exchange(t, l, "MVS1", "CLIENT", address("198.51.100.9:80")); got != "hello" {
		t.Errorf("afterwards: got %q", got)
	}
}

// TestLinkUpCarries: what is sent the moment a link is up again arrives, in either direction, however late the kernel notices
// the carrier.
func TestLinkUpCarries(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(3), lab.Options{})
	m := newMesh(t, l, 3)
	ctx := bounded(t)
	for range 20 {
		if err := l.LinkDown(ctx, "MVS1", "xcf0"); err != nil {
			t.Fatal(err)
		}
		reach := m.reach(func() error { return l.LinkUp(ctx, "MVS1", "xcf0") })
		for name, want := range map[string]string{"MVS1": "MVS1", "MVS2": "MVS2 MVS3", "MVS3": "MVS2 MVS3"} {
			if reach[name] != want {
				t.Errorf("%s hears %q with the link down, want %q", name, reach[name], want)
			}
		}
	}
}

// stateOf is the state of a stack.
func stateOf(t *testing.T, l *lab.Lab, stack string) lab.StatusNode {
	t.Helper()
	status, err := l.Status(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range status.Nodes {
		if node.Name == stack {
			return node
		}
	}
	t.Fatalf("no node %s in %+v", stack, status)
	return lab.StatusNode{}
}

func TestFreezeAndThaw(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	ctx := bounded(t)
	client := l.Control("MVS1")
	defer client.Close()
	if ready, err := client.Ready(ctx); err != nil || ready.Stack != "MVS1" {
		t.Fatalf("before: %+v, %v", ready, err)
	}
	if err := l.Freeze(ctx, "MVS1"); err != nil {
		t.Fatal(err)
	}
	if state := stateOf(t, l, "MVS1").State; state != lab.StateFrozen {
		t.Errorf("state %s, want frozen", state)
	}
	brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if answer, err := client.Ready(brief); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen stack answers %+v, %v", answer, err)
	}
	if got := exchange(t, l, "CLIENT", "MVS1", address("203.0.0.1:80")); got != "hello" {
		t.Errorf("the kernel of a frozen stack: got %q", got)
	}
	if err := l.Thaw(ctx, "MVS1"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Ready(ctx); err != nil {
		t.Errorf("after thawing: %v", err)
	}
	if state := stateOf(t, l, "MVS1").State; state != lab.StateRunning {
		t.Errorf("state %s, want running", state)
	}
	// A frozen stack does not hold up the end.
	if err := l.Freeze(ctx, "MVS1"); err != nil {
		t.Fatal(err)
	}
}

// TestFreezeOfAStackThatStartsPrograms: a thread that waits for its child to begin cannot be stopped, and would wait for
// good if the child had been.
func TestFreezeOfAStackThatStartsPrograms(t *testing.T) {
	t.Parallel()
	plan := sysplex(1)
	nodeOf(plan, "MVS1").Stack.Profile = "busy"
	l := up(t, plan, lab.Options{})
	ctx := bounded(t)
	for range 100 {
		if err := l.Freeze(ctx, "MVS1"); err != nil {
			t.Fatal(err)
		}
		if err := l.Thaw(ctx, "MVS1"); err != nil {
			t.Fatal(err)
		}
	}
}

// withServer is a plan whose MVS1 serves on port 80 of its address outside.
func withServer() *topo.Plan {
	plan := sysplex(2)
	nodeOf(plan, "MVS1").Applications = []topo.PlanApplication{
		{Name: "APPA", Command: []string{"/proc/self/exe", "server", "203.0.0.1:80"}}}
	return plan
}

// awaitServed waits until the server of withServer serves. A lab waits a moment for it too,
// but not as long as a loaded machine may take.
func awaitServed(t *testing.T, l *lab.Lab) {
	t.Helper()
	var err error
	await(t, func() bool {
		var conn net.Conn
		if conn, err = dialBriefly(t, l, "CLIENT", "203.0.0.1:80"); err == nil {
			conn.Close()
		}
		return err == nil
	}, func() string { return err.Error() })
}

// TestAStackIsItsProcess ends a stack's process in two ways; both are the end of the machine,
// and start is a new one.
func TestAStackIsItsProcess(t *testing.T) {
	t.Parallel()
	l := up(t, withServer(), lab.Options{})
	ctx := bounded(t)
	for _, c := range []struct {
		name string
		end  func(pid int) error
		want string
	}{
		{"kill", func(int) error { return l.Kill(ctx, "MVS1") }, "killed by signal 9 (SIGKILL)"},
		{"it ends by itself", func(pid int) error {
			exited, err := l.Exec(ctx, "CLIENT", lab.ExecSpec{Argv: []string{"sh", "-c", fmt.Sprintf("kill -TERM %d", pid)}})
			if err == nil && !exited.Success() {
				err = errors.New(exited.String())
			}
			return err
		}, "exit status 0"},
	} {
		awaitServed(t, l)
		// Nothing that the process has left makes the kernel answer for an address, or forward.
		left, err := l.Exec(ctx, "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", "ip addr add 44.0.0.10/32 dev lo && " +
			"ip -6 addr add 2001:db8::10/128 dev lo && ip -6 neigh add proxy 2001:db8::10 dev xcf0 && " +
			"echo 1 >/proc/sys/net/ipv4/ip_forward"}})
		if err != nil || !left.Success() {
			t.Fatal(left, err)
		}
		// What is in the stack's namespace goes with it, whoever has started it.
		bystander, err := l.Start(ctx, "MVS1", lab.ExecSpec{Argv: []string{"sleep", "1000"}})
		if err != nil {
			t.Fatal(err)
		}
		before := stateOf(t, l, "MVS1")
		if err := c.end(before.Pid); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if exited, err := bystander.Wait(ctx); err != nil || exited.Signal != unix.SIGKILL {
			t.Errorf("%s: bystander: %s, %v, want killed", c.name, exited, err)
		}
		bystander.Close()
		await(t, func() bool { return stateOf(t, l, "MVS1").Applications[0].Pid == 0 }, func() string { return "the application runs on" })
		after := stateOf(t, l, "MVS1")
		if after.State != lab.StateFailed || after.Pid != 0 || after.Reason != c.want {
			t.Errorf("%s: %+v, want failed, %s", c.name, after, c.want)
		}
		if a := after.Applications[0]; a.State != lab.StateFailed {
			t.Errorf("%s: application %+v, want failed", c.name, a)
		}
		counters, err := l.Counters(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for link, counter := range counters["MVS1"] {
			if counter.Carrier {
				t.Errorf("%s: link %s is up", c.name, link)
			}
		}
		if _, err := dialBriefly(t, l, "CLIENT", "203.0.0.1:80"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, unix.EHOSTUNREACH) {
			t.Errorf("%s: connect to a machine that failed: %v, want silence", c.name, err)
		}
		for verb, apply := range map[string]func(context.Context, string) error{"kill": l.Kill, "freeze": l.Freeze, "thaw": l.Thaw} {
			if err := apply(ctx, "MVS1"); !errors.Is(err, unix.ESRCH) {
				t.Errorf("%s: %s of a stack that has ended: %v", c.name, verb, err)
			}
		}
		if other := stateOf(t, l, "MVS2"); other.State != lab.StateRunning {
			t.Errorf("%s: MVS2 is %s", c.name, other.State)
		}
		if err := l.StartStack(ctx, "MVS1"); err != nil {
			t.Fatalf("%s: start: %v", c.name, err)
		}
		forgotten, err := l.Exec(ctx, "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c",
			"! { ip addr show dev lo; ip -6 neigh show proxy; sed s/^1/forward/ /proc/sys/net/ipv4/ip_forward; } | " +
				"grep -e 44.0.0.10 -e 2001:db8::10 -e forward"}})
		if err != nil || !forgotten.Success() {
			t.Errorf("%s: started again with what the process before has left: %v, %v", c.name, forgotten, err)
		}
		again := stateOf(t, l, "MVS1")
		if again.State != lab.StateRunning || again.Pid == before.Pid || again.Namespace != before.Namespace {
			t.Errorf("%s: started again: %+v, before %+v", c.name, again, before)
		}
		if err := l.StartStack(ctx, "MVS1"); !errors.Is(err, unix.EALREADY) {
			t.Errorf("%s: start of a stack that runs: %v", c.name, err)
		}
	}
	awaitServed(t, l)
}

// TestStartWaitsForTheOthers kills and starts a stack: the applications must not start before
// it sees whoever runs. One that is cut off sees nobody, and is not waited for in vain.
func TestStartWaitsForTheOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile string
		deadMS  int
		members int
	}{{"shy", 5000, 2}, {"hermit", 20, 1}} {
		plan := sysplex(2)
		plan.Timers.DeadMS = c.deadMS
		nodeOf(plan, "MVS1").Stack.Profile = c.profile
		l := up(t, plan, lab.Options{})
		if err := l.Kill(bounded(t), "MVS1"); err != nil {
			t.Fatal(err)
		}
		if err := l.StartStack(bounded(t), "MVS1"); err != nil {
			t.Errorf("%s: %v", c.profile, err)
			continue
		}
		client := l.Control("MVS1")
		answer, err := client.Ready(bounded(t))
		client.Close()
		if err != nil || answer.Members != c.members {
			t.Errorf("%s: %+v, %v: want %d members", c.profile, answer, err, c.members)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	plan := sysplex(2)
	plan.Faults = []topo.PlanFault{
		{AfterMS: 1, Verb: "freeze", Args: []string{"MVS2"}},
		{AfterMS: 2, Verb: "freeze", Args: []string{"MVS9"}},
		{AfterMS: 3, Verb: "kill", Args: []string{"MVS1"}},
		{AfterMS: 1000000, Verb: "thaw", Args: []string{"MVS2"}},
	}
	l := up(t, plan, lab.Options{})
	var status *lab.Status
	await(t, func() bool {
		var err error
		if status, err = l.Status(bounded(t)); err != nil {
			t.Fatal(err)
		}
		return len(status.Faults) == 4 && status.Faults[2].Done
	}, func() string { return fmt.Sprintf("the schedule is at %+v", status.Faults) })
	for i, want := range []string{"", `freeze: no node "MVS9"`, ""} {
		if got := status.Faults[i]; !got.Done || !strings.HasPrefix(got.Error, want) || (want == "") != (got.Error == "") {
			t.Errorf("fault %d: %+v, want done, error %q", i, got, want)
		}
	}
	if status.Faults[3].Done {
		t.Error("a fault of tomorrow is done")
	}
	if got := stateOf(t, l, "MVS2").State; got != lab.StateFrozen {
		t.Errorf("MVS2 is %s, want frozen", got)
	}
	if got := stateOf(t, l, "MVS1").State; got != lab.StateFailed {
		t.Errorf("MVS1 is %s, want failed", got)
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"burn", "MVS1"}, `no fault "burn"`},
		{[]string{"kill"}, `takes the form "kill STACK"`},
		{[]string{"kill", "MVS1", "MVS2"}, `takes the form "kill STACK"`},
		{[]string{"kill", "CLIENT"}, "node CLIENT is a host, not a stack"},
		{[]string{"freeze", "MVS7"}, `no node "MVS7" in lab`},
		{[]string{"link-down", "MVS1", "eth0"}, "link eth0 of node MVS1: not in the plan"},
		{[]string{"link-up", "MVS7", "ext0"}, "node MVS7: not in the plan"},
		{[]string{"drop", "XCF", "MVS1", "MVS1"}, "MVS1 is both ends"},
		{[]string{"drop", "XFC", "MVS1", "ROUTER"}, "network XFC: not in the plan"},
		{[]string{"drop", "XCF", "MVS1", "ROUTER"}, "link of node ROUTER to network XCF: not in the plan"},
		{[]string{"partition", "XCF", "MVS1,MVS1"}, "MVS1 is named twice"},
		{[]string{"partition", "XCF", ""}, "node : not in the plan"},
		{[]string{"heal", "XFC"}, "network XFC: not in the plan"},
	} {
		if err := l.Fault(bounded(t), c.args[0], c.args[1:]...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.args, err, c.want)
		}
	}
}
