package xcf

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// scene is a roster of MVS5 at 10.1.0.5, incarnation 500, with 10 ticks of silence.
type scene struct {
	*testing.T
	*roster
	sequence uint64
}

func newScene(t *testing.T) *scene {
	self := contract.Member{Stack: "MVS5", XCF: netip.MustParseAddr("10.1.0.5"), Incarnation: 500}
	return &scene{T: t, roster: newRoster("PLEX1", self, 10, nobody)}
}

func nobody(contract.Member) bool { return false }

// hello is the next HELLO of a stack.
func (s *scene) hello(stack, xcf string, incarnation uint64) contract.Hello {
	s.sequence++
	return contract.Hello{Plex: "PLEX1", Stack: stack, XCF: netip.MustParseAddr(xcf), Incarnation: incarnation, TCPPort: 1, Sequence: s.sequence}
}

func (s *scene) hears(h contract.Hello) hearing { return s.hear(h, time.Time{}) }

// accepts wants the HELLO believed.
func (s *scene) accepts(h contract.Hello) hearing {
	s.Helper()
	result := s.hears(h)
	if result.refused != "" || result.out != "" {
		s.Fatalf("%s at %s, incarnation %d: refused %q, out %q; want it believed", h.Stack, h.XCF, h.Incarnation, result.refused, result.out)
	}
	return result
}

// refuses wants the HELLO refused for this reason.
func (s *scene) refuses(h contract.Hello, why string) {
	s.Helper()
	if result := s.hears(h); !strings.Contains(result.refused, why) || result.refused == "" {
		s.Fatalf("%s at %s, incarnation %d: %+v; want it refused: %s", h.Stack, h.XCF, h.Incarnation, result, why)
	}
}

// passes lets ticks go by and returns who fell silent, and whether we came back.
func (s *scene) passes(ticks int) (silent []netip.Addr, back bool) {
	for range ticks {
		back = s.pass(false) || back
		silent = append(silent, s.condemn(s.suspects())...)
	}
	return silent, back
}

// Who waits for a processor is not lost for it, but not for ever.
func TestRosterExcuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	starved := true
	s.excused = func(m contract.Member) bool { return starved && m.Stack == "MVS1" }
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.accepts(s.hello("MVS2", "10.1.0.2", 200))
	if silent, _ := s.passes(11); len(silent) != 1 || silent[0] != netip.MustParseAddr("10.1.0.2") {
		t.Errorf("%v silent, want 10.1.0.2", silent)
	}
	if silent, _ := s.passes(excusedFor*10 - 11); len(silent) != 0 {
		t.Errorf("%v silent that is excused", silent)
	}
	if silent, _ := s.passes(1); len(silent) != 1 {
		t.Errorf("%v silent, want 10.1.0.1: nobody is excused for longer", silent)
	}
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.passes(20)
	starved = false
	if silent, _ := s.passes(1); len(silent) != 1 {
		t.Errorf("%v silent, want 10.1.0.1: it does not wait for a processor any more", silent)
	}
}

// Who is heard after all is not silent.
func TestRosterHearsSuspects(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.accepts(s.hello("MVS2", "10.1.0.2", 200))
	s.passes(10)
	s.pass(false)
	suspects := s.suspects()
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	if silent := s.condemn(suspects); len(suspects) != 2 || len(silent) != 1 || silent[0] != netip.MustParseAddr("10.1.0.2") {
		t.Errorf("%v of %v silent, want 10.1.0.2 of two", silent, suspects)
	}
}

func TestRosterKnowsRepetitions(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	h := s.hello("MVS1", "10.1.0.1", 100)
	if !s.accepts(h).fresh {
		t.Error("a stack heard for the first time is not fresh")
	}
	s.refuses(h, "repeated: sequence 1 after 1")
	if s.accepts(s.hello("MVS1", "10.1.0.1", 100)).fresh {
		t.Error("a stack heard for the second time is fresh")
	}
	s.refuses(h, "repeated: sequence 1 after 2")
	s.refuses(s.hello("MVS1", "10.1.0.1", 99), "incarnation 99 is older than 100, known at this address")
	s.refuses(s.hello("MVS9", "10.1.0.1", 100), "incarnation 100 has the name MVS1")
	other := s.hello("MVS2", "10.1.0.2", 100)
	other.Plex = "PLEX2"
	s.refuses(other, "it is of plex PLEX2")
	if own := s.accepts(s.hello("MVS5", "10.1.0.5", 500)); own.fresh {
		t.Error("we answer ourselves")
	}
}

func TestRosterReplacesARestartedStack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.refuses(s.hello("MVS1", "10.1.0.1", 101), "belongs to MVS1, incarnation 100, which is alive")
	s.passes(contention - 1)
	s.refuses(s.hello("MVS1", "10.1.0.1", 101), "which is alive")
	s.passes(1)
	if result := s.accepts(s.hello("MVS1", "10.1.0.1", 101)); !result.replaced || !result.fresh {
		t.Errorf("%+v, want a fresh one in place of the old", result)
	}
	s.refuses(s.hello("MVS1", "10.1.0.1", 100), "older than 101")

	// Where the old connection has ended, nothing has to be waited for.
	s.end(contract.Member{XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 101}, false)
	s.accepts(s.hello("MVS1", "10.1.0.1", 102))
}

func TestRosterGivesANameToTheEarliest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.refuses(s.hello("MVS1", "10.1.0.7", 101), "its name belongs to incarnation 100 at 10.1.0.1")
	if result := s.accepts(s.hello("MVS1", "10.1.0.8", 99)); result.ousted != netip.MustParseAddr("10.1.0.1") {
		t.Errorf("%+v, want 10.1.0.1 ousted", result)
	}
	s.refuses(s.hello("MVS1", "10.1.0.1", 100), "its name belongs to incarnation 99 at 10.1.0.8")
	// Of two that were started at once the lower address is the earlier.
	s.refuses(s.hello("MVS1", "10.1.0.9", 99), "its name belongs to incarnation 99 at 10.1.0.8")

	leaving := s.hello("MVS1", "10.1.0.8", 99)
	leaving.Leaving = true
	if !s.accepts(leaving).left {
		t.Error("a stack that leaves has not left")
	}
	s.accepts(s.hello("MVS1", "10.1.0.9", 99))
}

func TestRosterSeesSilenceInItsOwnTime(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	if silent, _ := s.passes(10); len(silent) != 0 {
		t.Fatalf("%v silent after 10 of 10 ticks", silent)
	}
	if silent, _ := s.passes(1); len(silent) != 1 {
		t.Fatalf("%v silent after 11 of 10 ticks, want 10.1.0.1", silent)
	}
	if silent, _ := s.passes(20); len(silent) != 0 {
		t.Fatalf("%v silent again", silent)
	}
	if !s.accepts(s.hello("MVS1", "10.1.0.1", 100)).fresh {
		t.Error("a stack that was silent is not fresh when it is heard again")
	}
	// However long we were away, it is one tick.
	s.pass(true)
	if silent := s.condemn(s.suspects()); len(silent) != 0 {
		t.Errorf("%v silent while we were away", silent)
	}
}

func TestRosterYieldsItsNameToTheEarlier(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.refuses(s.hello("MVS5", "10.1.0.1", 501), "it claims our name, which we have held before it")
	result := s.hears(s.hello("MVS5", "10.1.0.1", 499))
	if want := "our name MVS5 is taken by incarnation 499 at 10.1.0.1; waiting until it is gone"; result.out != want {
		t.Fatalf("out %q, want %q", result.out, want)
	}
	if again := s.hears(s.hello("MVS5", "10.1.0.1", 499)); again.out != "" {
		t.Error("told twice that we are out")
	}
	if _, err := s.admissible(contract.Member{Stack: "MVS5", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 499}); err == nil {
		t.Error("a partner was admitted while we are out")
	}
	if _, back := s.passes(10); back {
		t.Fatal("back while the other is not silent yet")
	}
	if _, back := s.passes(1); !back {
		t.Fatal("not back after the other fell silent")
	}

	s.hears(s.hello("MVS5", "10.1.0.1", 499))
	leaving := s.hello("MVS5", "10.1.0.1", 499)
	leaving.Leaving = true
	s.hears(leaving)
	if _, back := s.passes(1); !back {
		t.Error("not back after the other left")
	}
}

func TestRosterYieldsItsAddressUntilEstablished(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.refuses(s.hello("MVS9", "10.1.0.5", 501), "it claims our XCF address")
	h := s.hello("MVS9", "10.1.0.5", 499)
	if want := "our XCF address 10.1.0.5 is taken by MVS9, incarnation 499; waiting until it is gone"; s.hears(h).out != want {
		t.Fatalf("not out: %q", want)
	}
	s.passes(6)
	s.hears(h) // a repetition does not keep us out any longer
	if _, back := s.passes(5); !back {
		t.Fatal("not back after the other fell silent")
	}
	s.passes(11)
	s.refuses(s.hello("MVS9", "10.1.0.5", 499), "it claims our XCF address")

	s = newScene(t)
	s.admitted()
	s.refuses(s.hello("MVS9", "10.1.0.5", 499), "it claims our XCF address")
}

// A stack that was stopped while another was started in its place.
func TestRosterIsSupersededWhileAway(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.admitted()
	s.pass(true)
	result := s.hears(s.hello("MVS5", "10.1.0.5", 501))
	if want := "our XCF address 10.1.0.5 went to MVS5, incarnation 501, while we were away; this stack must be started again"; result.out != want {
		t.Fatalf("out %q, want %q", result.out, want)
	}
	if _, back := s.passes(100); back {
		t.Error("back although no partner takes the earlier incarnation back")
	}
}

// A HELLO may lie in the socket while the end of its sender is seen on the connection.
func TestRosterIsNotFooledByLastWords(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	one := contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 100}
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.passes(1)
	s.end(one, false)
	last := s.hello("MVS1", "10.1.0.1", 100)
	if s.accepts(last).fresh {
		t.Error("a stack that has ended is back by what it said before")
	}
	s.refuses(last, "repeated")
	if !s.accepts(s.hello("MVS1", "10.1.0.1", 101)).fresh {
		t.Error("its next incarnation is not taken")
	}

	s = newScene(t)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.end(one, false)
	s.passes(1)
	if !s.accepts(s.hello("MVS1", "10.1.0.1", 100)).fresh {
		t.Error("a stack that only lost its connection is not back")
	}
}

func TestRosterAdmitsWhomItHears(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	one := contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 100}
	admits := func(m contract.Member, wantWait bool, want string) {
		t.Helper()
		wait, err := s.admissible(m)
		if wait != wantWait || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("wait %t, error %v; want %t, %q", wait, err, wantWait, want)
		}
	}
	admits(one, true, "no HELLO of MVS1, incarnation 100, was accepted")
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	admits(one, false, "")
	later, older, renamed := one, one, one
	later.Incarnation, older.Incarnation, renamed.Stack = 101, 99, "MVS9"
	admits(later, true, "no HELLO of MVS1, incarnation 101, was accepted")
	admits(older, false, "incarnation 99 is older than 100, known at this address")
	admits(renamed, false, "it calls itself MVS9, its HELLOs MVS1")
	s.end(one, true)
	admits(one, true, "no HELLO")
	s.passes(1)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	admits(one, false, "its last connection was given up a short time ago")
	s.passes(8)
	s.accepts(s.hello("MVS1", "10.1.0.1", 100))
	s.passes(1)
	admits(one, false, "")
}

func TestRosterIsBounded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	address := netip.MustParseAddr("10.2.0.0")
	for range contract.MaxMembers - 1 {
		address = address.Next()
		s.accepts(s.hello("S"+address.String(), address.String(), 1))
	}
	s.refuses(s.hello("ONE", "10.3.0.1", 1), "the group has 128 members already")
	s.end(contract.Member{XCF: address, Incarnation: 1}, false)
	s.accepts(s.hello("ONE", "10.3.0.1", 1))
	if len(s.claims) != contract.MaxMembers-1 {
		t.Errorf("%d claims", len(s.claims))
	}
	leaving := s.hello("TWO", "10.3.0.2", 1)
	leaving.Leaving = true
	if result := s.accepts(leaving); result.left {
		t.Error("an unknown stack has left")
	}
}
