package xcf

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var compare = cmpopts.EquateComparable(netip.Addr{})

// form starts n stacks and waits until each sees all.
func form(t *testing.T, s *segment, n int) []*stack {
	t.Helper()
	return formPatient(t, s, n, testDead)
}

// formPatient is form of stacks that bear silence for as long as dead.
func formPatient(t *testing.T, s *segment, n int, dead time.Duration) []*stack {
	t.Helper()
	stacks := make([]*stack, n)
	for i := range stacks {
		c := s.config(i)
		c.Dead = dead
		stacks[i] = join(t, c)
	}
	for _, one := range stacks {
		one.awaitMembers(t, n-1)
	}
	return stacks
}

func TestGroupForms(t *testing.T) {
	t.Parallel()
	for name, subnet := range map[string]string{"IPv4": ipv4, "IPv6": ipv6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, subnet, 5)
			start := time.Now()
			stacks := form(t, s, 5)
			t.Logf("5 stacks formed in %v", time.Since(start))
			for i, one := range stacks {
				var want, got []contract.Member
				for j, other := range stacks {
					if i != j {
						want = append(want, other.self())
					}
				}
				for _, m := range one.Members() {
					got = append(got, m.Member)
					if m.Heard < 0 || m.Heard > testDead {
						t.Errorf("%s heard %s %v ago", one.name, m.Stack, m.Heard)
					}
				}
				if diff := cmp.Diff(want, got, compare); diff != "" {
					t.Errorf("%s sees other members (-want +got):\n%s", one.name, diff)
				}
				if n := one.log.count("level=WARN"); n != 0 {
					t.Errorf("%s warned:\n%s", one.name, one.log)
				}
			}
		})
	}
}

func TestMessagesArriveInOrder(t *testing.T) {
	t.Parallel()
	stacks := form(t, newSegment(t, ipv4, 3), 3)
	one, two, three := stacks[0], stacks[1], stacks[2]
	const n = 5000
	for i := range n {
		m := contract.NEWCONNAck{Acknowledge: uint64(i + 1)}
		must(t, one.Send(two.self().XCF, m))
		must(t, two.Send(one.self().XCF, m))
	}
	must(t, one.Broadcast(contract.EndOfList{}))
	for _, pair := range [][2]*stack{{one, two}, {two, one}} {
		from, to := pair[0].self(), pair[1]
		to.await(t, "all messages in order", func(events []Event) bool {
			next := uint64(1)
			for _, e := range events {
				r, ok := e.(Received)
				if !ok || r.From != from {
					continue
				}
				if m, ok := r.Message.(contract.NEWCONNAck); ok {
					if m.Acknowledge != next {
						t.Fatalf("%s got message %d of %s, want %d", to.name, m.Acknowledge, from.Stack, next)
					}
					next++
				}
			}
			return next == n+1
		})
	}
	for _, s := range []*stack{two, three} {
		s.awaitEvent(t, Received{From: one.self(), Message: contract.EndOfList{}})
	}
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 1)
	one := join(t, s.config(0))
	if err := one.Send(s.address(1), contract.EndOfList{}); !errors.Is(err, ErrNotMember) {
		t.Errorf("nobody there: got error %v, want %v", err, ErrNotMember)
	}
	var field *contract.FieldError
	if err := one.Broadcast(contract.NEWCONNAck{}); !errors.As(err, &field) {
		t.Errorf("a message that breaks the contract: got error %v, want a FieldError", err)
	}
}

func TestEndOfAProcessIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	stacks := form(t, s, 3)
	start := time.Now()
	stacks[1].kill()
	for _, one := range []*stack{stacks[0], stacks[2]} {
		one.awaitEvent(t, Lost{Member: stacks[1].self(), Reason: Ended})
	}
	if took := time.Since(start); took >= testDead {
		t.Errorf("seen after %v, want less than the %v of silence", took, testDead)
	} else {
		t.Logf("seen after %v", took)
	}

	again := s.config(1)
	again.Self.Incarnation += 50
	restarted := join(t, again)
	for _, one := range []*stack{stacks[0], stacks[2]} {
		one.awaitEvent(t, Joined{Member: restarted.self()})
	}
	restarted.awaitMembers(t, 2)
}

func TestSilenceIsSeenAndHeals(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	stacks := form(t, s, 3)
	start := time.Now()
	s.cut(t, 2, true)
	for _, one := range stacks[:2] {
		one.awaitEvent(t, Lost{Member: stacks[2].self(), Reason: Silent})
	}
	if took := time.Since(start); took < testDead-testHello {
		t.Errorf("lost after %v, want about %v of silence", took, testDead)
	} else {
		t.Logf("lost after %v", took)
	}
	for _, other := range stacks[:2] {
		stacks[2].awaitEvent(t, Lost{Member: other.self(), Reason: Silent})
	}
	stacks[0].awaitMembers(t, 1)
	s.cut(t, 2, false)
	for _, one := range stacks {
		one.awaitMembers(t, 2)
	}
}

func TestLeaveInOrder(t *testing.T) {
	t.Parallel()
	// On a busy machine, reading to the end may take longer than the default gives.
	stacks := formPatient(t, newSegment(t, ipv4, 3), 3, limit)
	const n = 2000
	for i := range n {
		must(t, stacks[1].Broadcast(contract.NEWCONNAck{Acknowledge: uint64(i + 1)}))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	must(t, stacks[1].Leave(ctx))
	for _, one := range []*stack{stacks[0], stacks[2]} {
		one.await(t, "last message before Lost(Left)", func(events []Event) bool {
			lost := len(events) > 0 && events[len(events)-1] == Lost{Member: stacks[1].self(), Reason: Left}
			return lost && events[len(events)-2] == Received{From: stacks[1].self(), Message: contract.NEWCONNAck{Acknowledge: n}}
		})
	}
	<-stacks[1].over
	if err := stacks[1].Leave(ctx); err != nil {
		t.Errorf("leaving again: %v", err)
	}
}

func TestAllLeaveAtOnce(t *testing.T) {
	t.Parallel()
	stacks := form(t, newSegment(t, ipv4, 4), 4)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan error)
	start := time.Now()
	for _, s := range stacks {
		go func() { done <- s.Leave(ctx) }()
	}
	for range stacks {
		must(t, <-done)
	}
	t.Logf("all left in %v", time.Since(start))
}

func TestLaterStackOfANameStaysOutUntilItIsFree(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	first, other := join(t, s.config(0)), join(t, s.config(1))
	first.awaitMembers(t, 1)
	c := s.config(2)
	c.Self.Stack = "MVS1"
	late := join(t, c)
	late.await(t, "problem", func(events []Event) bool { return len(events) > 0 && late.Problem() != "" })
	want := "our name MVS1 is taken by incarnation 100 at 10.1.0.1; waiting until it is gone"
	if diff := cmp.Diff(Event(Problem{Text: want}), late.told()[0]); diff != "" {
		t.Error(diff)
	}
	first.awaitLog(t, "it claims our name, which we have held before it")
	for _, e := range other.told() {
		if e == (Joined{Member: late.self()}) {
			t.Errorf("%s took the second %s in", other.name, late.name)
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	must(t, first.Leave(ctx))
	late.awaitEvent(t, Problem{})
	other.awaitEvent(t, Joined{Member: late.self()})
	late.awaitMembers(t, 1)
}

// Two halves of a plex met again, and both have a stack of one name: the later yields.
func TestEarlierStackOfANameComesIntoSight(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	s.cut(t, 0, true)
	first := join(t, s.config(0))
	c := s.config(2)
	c.Self.Stack = "MVS1"
	other, late := join(t, s.config(1)), join(t, c)
	other.awaitEvent(t, Joined{Member: late.self()})
	s.cut(t, 0, false)
	other.awaitEvent(t, Joined{Member: first.self()})
	late.await(t, "problem", func([]Event) bool { return late.Problem() != "" })
	other.await(t, "loss of the later", func([]Event) bool { return len(other.Members()) == 1 })
}

func TestAnotherPlexOnTheSameSegment(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 4)
	stacks := form(t, s, 2)
	c := s.config(2)
	c.Plex = "PLEX2"
	join(t, c)
	c = s.config(3)
	c.Key = contract.Key{9}
	join(t, c)
	stacks[0].awaitLog(t, "it is of plex PLEX2")
	stacks[0].awaitLog(t, contract.ErrMAC.Error())
	for _, one := range stacks {
		one.awaitMembers(t, 1)
		if n := len(one.told()); n != 1 {
			t.Errorf("%s was told %v", one.name, one.told())
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 1)
	for want, change := range map[string]func(*Config){
		"join XCF group: HELLO: plex: 0 characters, want 1 to 32":                 func(c *Config) { c.Plex = "" },
		"join XCF group: HELLO: incarnation: 0, want 1 or more":                   func(c *Config) { c.Self.Incarnation = 0 },
		"join XCF group: HELLO: xcf_address: 0 bytes, want 4 or 16":               func(c *Config) { c.Self.XCF = netip.Addr{} },
		"join XCF group: no pulse to say HELLOs by":                               func(c *Config) { c.Pulse = nil },
		"join XCF group: no interface to the inter-stack network named":           func(c *Config) { c.Interface = "" },
		"join XCF group: interface xcf9: ":                                        func(c *Config) { c.Interface = "xcf9" },
		"join XCF group: send HELLOs from 10.1.0.77: ":                            func(c *Config) { c.Self.XCF = netip.MustParseAddr("10.1.0.77") },
		"join XCF group: hello every 999µs, want 1ms or more":                     func(c *Config) { c.Hello = 999 * time.Microsecond },
		"join XCF group: dead after 99ms of silence, want at least twice the tim": func(c *Config) { c.Dead = 99 * time.Millisecond },
	} {
		c := s.config(0)
		c.Pulse = newPulse(t)
		change(&c)
		g, err := Join(c)
		if err == nil {
			_ = g.Leave(context.Background())
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	join(t, s.config(0))
	second := s.config(0)
	second.Pulse = newPulse(t)
	if _, err := Join(second); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("two stacks in one namespace: got error %v, want %v", err, syscall.EADDRINUSE)
	}
}

// Not parallel: it looks at every goroutine of the process.
func TestLeaveEndsEveryGoroutine(t *testing.T) {
	s := newSegment(t, ipv4, 3)
	stacks := form(t, s, 3)
	for _, one := range stacks {
		must(t, one.Leave(t.Context()))
		<-one.over
	}
	dump := make([]byte, 1<<20)
	dump = dump[:runtime.Stack(dump, true)]
	for _, goroutine := range strings.Split(string(dump), "\n\n") {
		if strings.Contains(goroutine, "xcf.(*Group)") || strings.Contains(goroutine, "xcf.(*queue)") {
			t.Errorf("left behind:\n%s", goroutine)
		}
	}
}

func TestGlancesGetRarer(t *testing.T) {
	turns := 0
	for since := time.Duration(0); since < time.Second; since += glance(since) {
		turns++
	}
	if glance(0) != firstGlance || turns < 20 || turns > 50 {
		t.Errorf("found %d glances in a second, the first after %v, want 20 to 50, after %v", turns, glance(0), firstGlance)
	}
}
