package xcf

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

const byOperator = "the operator took it out"

// departs takes a stack out of the group and waits until everybody knows.
func departs(t *testing.T, one *stack, others ...*stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	must(t, one.Depart(ctx, byOperator))
	for _, other := range others {
		other.awaitEvent(t, Lost{Member: one.self(), Reason: Left})
		one.awaitEvent(t, Lost{Member: other.self(), Reason: Left})
	}
	one.awaitEvent(t, Problem{Text: byOperator, Asked: true})
	one.awaitMembers(t, 0)
}

func TestDepartAndReturn(t *testing.T) {
	t.Parallel()
	for name, subnet := range map[string]string{"IPv4": ipv4, "IPv6": ipv6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, subnet, 3)
			stacks := form(t, s, 3)
			one := stacks[1] // dials one partner, and is dialled by the other
			must(t, one.Broadcast(contract.NEWCONNAck{Acknowledge: 1}))
			departs(t, one, stacks[0], stacks[2])
			for _, other := range []*stack{stacks[0], stacks[2]} {
				other.awaitEvent(t, Received{From: one.self(), Message: contract.NEWCONNAck{Acknowledge: 1}})
				other.awaitMembers(t, 1)
			}
			if got := one.Problem(); got != byOperator {
				t.Errorf("problem %q, want %q", got, byOperator)
			}
			if err := one.Send(stacks[0].self().XCF, contract.EndOfList{}); !errors.Is(err, ErrNotMember) {
				t.Errorf("send: got %v, want %v", err, ErrNotMember)
			}

			one.Return()
			one.awaitEvent(t, Problem{})
			for _, each := range stacks {
				each.awaitMembers(t, 2)
			}
			must(t, one.Broadcast(contract.NEWCONNAck{Acknowledge: 2}))
			for _, other := range []*stack{stacks[0], stacks[2]} {
				other.awaitEvent(t, Received{From: one.self(), Message: contract.NEWCONNAck{Acknowledge: 2}})
			}
			one.Return() // nothing to do
			if n := one.log.count("level=WARN"); n != 0 {
				t.Errorf("it warned:\n%s", one.log)
			}
		})
	}
}

// While it is away it says nothing: its partners hear no HELLO of it, and it does not take a partner.
func TestADepartedStackKeepsToItself(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	stacks := form(t, s, 2)
	departs(t, stacks[1], stacks[0])
	spoken, ticks := sequenceOf(stacks[1]), ticksOf(stacks[1])
	third := join(t, s.config(2))
	third.awaitMembers(t, 1)
	eventually(t, "five HELLOs of its time have passed", func() bool { return ticksOf(stacks[1]) > ticks+5 }, stacks[1].log)
	if got := sequenceOf(stacks[1]); got != spoken {
		t.Errorf("it said %d HELLOs while it was away", got-spoken)
	}
	if got := stacks[1].Members(); len(got) != 0 {
		t.Errorf("it has members while it is away: %v", got)
	}
	stacks[1].Return()
	for _, each := range append(stacks, third) {
		each.awaitMembers(t, 2)
	}
}

func sequenceOf(s *stack) uint64 {
	s.speech.mu.Lock()
	defer s.speech.mu.Unlock()
	return s.speech.sequence
}

func ticksOf(s *stack) uint64 {
	s.Group.mu.Lock()
	defer s.Group.mu.Unlock()
	return s.roster.tick
}

// Its address has gone to a later incarnation meanwhile: it must not come between.
func TestAnAddressThatWentToAnotherMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 2)
	one := join(t, s.config(0))
	departs(t, one)
	later := s.config(0).Self
	later.Incarnation++
	one.Return()
	one.Group.mu.Lock()
	result := one.roster.hear(contract.Hello{Plex: "PLEX1", Stack: later.Stack, XCF: later.XCF, Incarnation: later.Incarnation, TCPPort: 1, Sequence: 1}, time.Now())
	one.follow(later.XCF, result)
	one.Group.mu.Unlock()
	one.awaitEvent(t, Problem{Text: "our XCF address 10.1.0.1 went to MVS1, incarnation 101, while we were away; this stack must be started again"})
}

func TestLeaveAfterDepart(t *testing.T) {
	t.Parallel()
	stacks := form(t, newSegment(t, ipv4, 2), 2)
	departs(t, stacks[1], stacks[0])
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	departs(t, stacks[1]) // once more
	must(t, stacks[1].Leave(ctx))
	<-stacks[1].over
	if err := stacks[1].Depart(ctx, byOperator); !errors.Is(err, net.ErrClosed) {
		t.Errorf("departing after the end: got %v, want %v", err, net.ErrClosed)
	}
	stacks[1].Return()
}

// A partner that does not let go is reset: it must not think that the process has ended.
func TestAPartnerThatDoesNotLetGo(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 2)
	one := join(t, s.config(1))
	partner := newFake(t, s, 0)
	partner.speak()
	_, conn := partner.connect(one)
	one.awaitMembers(t, 1)
	must(t, one.Depart(t.Context(), byOperator))
	one.awaitEvent(t, Lost{Member: partner.config.Self, Reason: Silent})
	if !isReset(conn) {
		t.Error("its connection was closed in order, want a reset")
	}
}
