package xcf

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// limit is the stated maximum of every wait in these tests.
const limit = 10 * time.Second

var testKey = contract.Key{1, 2, 3}

// stack is a group under test with all it told.
type stack struct {
	*Group
	name string
	log  *journal

	mu      sync.Mutex
	events  []Event
	changed chan struct{} // closed and made anew with every event
	over    chan struct{} // closed when Events is
}

// journal is a log that tests can read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.b.String(), text)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// config is that of the i-th stack of a segment, with a name and incarnation from its place.
// Longer than the default, because tests share the machine.
const (
	testHello = 50 * time.Millisecond
	testDead  = 500 * time.Millisecond
)

func (s *segment) config(i int) Config {
	return Config{
		Plex: "PLEX1", Self: contract.Member{Stack: fmt.Sprintf("MVS%d", i+1), XCF: s.address(i), Incarnation: uint64(100 + i), Outside: i == 0},
		Interface: "xcf0", Key: testKey, within: s.stacks[i].within, Hello: testHello, Dead: testDead,
	}
}

func newPulse(t testing.TB) *pulse.Pulse {
	t.Helper()
	p, err := pulse.New()
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// join starts a group and leaves it with the test.
func join(t *testing.T, c Config) *stack {
	t.Helper()
	s := begin(t, c)
	go s.record()
	return s
}

// begin starts a group whose events nobody reads yet.
func begin(t *testing.T, c Config) *stack {
	t.Helper()
	s := &stack{name: c.Self.Stack, log: new(journal), changed: make(chan struct{}), over: make(chan struct{})}
	c.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	c.Pulse = newPulse(t)
	var err error
	if s.Group, err = Join(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Leave(over)
	})
	return s
}

func (s *stack) record() {
	defer close(s.over)
	for e := range s.Events() {
		s.mu.Lock()
		s.events = append(s.events, e)
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// told are the events up to now.
func (s *stack) told() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[:len(s.events):len(s.events)]
}

// await waits until what was told satisfies the condition.
func (s *stack) await(t *testing.T, what string, condition func([]Event) bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		events, changed := s.events[:len(s.events):len(s.events)], s.changed
		s.mu.Unlock()
		if condition(events) {
			return
		}
		select {
		case <-changed:
		case <-s.over:
			t.Fatalf("%s left the group before %s; it was told %s", s.name, what, last(events))
		case <-deadline.C:
			t.Fatalf("%s: no %s within %v; it was told %s; its log:\n%s", s.name, what, limit, last(events), s.log)
		}
	}
}

// last are the last of many events, for a person.
func last(events []Event) string {
	const shown = 10
	if more := len(events) - shown; more > 0 {
		return fmt.Sprintf("%d events and then %+v", more, events[more:])
	}
	return fmt.Sprintf("%+v", events)
}

// awaitEvent waits for one event.
func (s *stack) awaitEvent(t *testing.T, want Event) {
	t.Helper()
	s.await(t, fmt.Sprintf("%#v", want), func(events []Event) bool {
		for _, e := range events {
			if e == want {
				return true
			}
		}
		return false
	})
}

// awaitMembers waits until the stack sees this many others.
func (s *stack) awaitMembers(t *testing.T, n int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d other members", n), func([]Event) bool { return len(s.Members()) == n })
}

// awaitLog waits until the log has a line with the text.
func (s *stack) awaitLog(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s logs %q", s.name, text), func() bool { return s.log.count(text) > 0 }, s.log)
}

// eventually polls where nothing tells of a change.
func eventually(t testing.TB, what string, condition func() bool, evidence fmt.Stringer) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s; log:\n%s", limit, what, evidence)
		}
	}
}

// self is the member that the stack is to others.
func (s *stack) self() contract.Member { return s.config.Self }

// kill ends a stack as the end of its process would: sockets close, and nothing is said.
func (s *stack) kill() {
	s.cancel()
	s.sockets.close()
	s.Group.mu.Lock()
	for _, p := range s.partners {
		p.conn.Close()
	}
	s.Group.mu.Unlock()
	s.work.Wait()
}
