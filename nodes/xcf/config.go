package xcf

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// Defaults of the timers.
const (
	DefaultHello = 40 * time.Millisecond
	DefaultDead  = 120 * time.Millisecond
)

// Tuning constants of this implementation; partners need not have the same.
const (
	// outboxLimit is how many bytes may wait for one partner; more ends its connection.
	outboxLimit = 8 << 20
	// inboxLimit is how many messages of one partner may wait for the consumer of Events;
	// then that partner is not read any more.
	inboxLimit = 256
	// batchSize is how many bytes of waiting messages are written in one system call.
	batchSize = 64 << 10
	// halfOpenLimit and halfOpenPerSource bound the connections that are not authenticated
	// yet. Each ends by itself after Dead.
	halfOpenLimit     = contract.MaxMembers
	halfOpenPerSource = 4
	// contention is how many HELLOs of our own may pass without one of the holder of an XCF
	// address until a later incarnation at that address replaces it.
	contention = 3
	// firstGlance is when HELLOs are taken in after the group has changed, and from then on more and more seldom, a
	// glance after another part of the time since, until it is done with each HELLO of our own. A newcomer is so
	// heard within Hello, and a group that starts together forms in a few glances.
	firstGlance = 2 * time.Millisecond
	glances     = 8
	// hearAtOnce is how many HELLOs are taken in at once.
	hearAtOnce = 4 * contract.MaxMembers
	// userTimeout, times Dead, is how long a connection may have data that the partner does
	// not acknowledge or has no room for. Silence is seen by HELLOs; this is for a partner
	// whose HELLOs go on.
	userTimeout = 10
	// excusedFor, times Dead, is how long a partner may be silent that is excused.
	excusedFor = 5
	// logEvery is how often the same thing is logged of the same source.
	logEvery = 10 * time.Second
)

// Config is one stack's part in the group of its plex.
type Config struct {
	// Plex is the name of the plex; HELLOs of others are ignored.
	Plex string
	// Self is the stack; its XCF address is on Interface. Incarnation must be greater than
	// that of every earlier start of the stack.
	Self contract.Member
	// Interface is the link to the inter-stack network. Nothing is sent or taken elsewhere.
	Interface string
	Key       contract.Key
	// Hello is the time between two HELLOs, 1 ms or more; 0 is DefaultHello. Partners with
	// another Hello are understood as long as it is well below Dead.
	Hello time.Duration
	// Dead is how long a partner may be silent, at least twice Hello; 0 is DefaultDead. A
	// partner is lost between Dead and Dead+Hello after its last HELLO.
	Dead time.Duration
	// Excused says of a partner that has been silent for Dead that its process wants to speak, as it waits for a
	// processor: it is not lost then until it has been silent for five times as long. It is asked with each HELLO of our
	// own meanwhile, and must not wait. nil excuses nobody.
	Excused func(contract.Member) bool
	// Pulse says the HELLOs. It has to go on until the stack has left.
	Pulse *pulse.Pulse
	// Logger takes what a person should know and Events do not tell: what is ignored or
	// refused, and why. nil discards it.
	Logger *slog.Logger

	// within runs what opens sockets, where not nil: tests keep each stack in a network
	// namespace of its own.
	within func(open func() error) error
}

func (c *Config) complete() error {
	if c.Hello == 0 {
		c.Hello = DefaultHello
	}
	if c.Dead == 0 {
		c.Dead = DefaultDead
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Excused == nil {
		c.Excused = func(contract.Member) bool { return false }
	}
	if c.within == nil {
		c.within = func(open func() error) error { return open() }
	}
	switch {
	case c.Pulse == nil:
		return errors.New("no pulse to say HELLOs by")
	case c.Interface == "":
		return errors.New("no interface to the inter-stack network named")
	case c.Hello < time.Millisecond:
		return fmt.Errorf("hello every %v, want 1ms or more", c.Hello)
	case c.Dead < 2*c.Hello:
		return fmt.Errorf("dead after %v of silence, want at least twice the time between two HELLOs (%v)", c.Dead, c.Hello)
	}
	// What no partner could read must not be sent: the port and sequence stand for those to come.
	_, err := contract.SealHello(c.Key, contract.Hello{
		Plex: c.Plex, Stack: c.Self.Stack, XCF: c.Self.XCF, Incarnation: c.Self.Incarnation, TCPPort: 1, Sequence: 1,
	})
	return err
}

// silence is Dead in HELLOs of our own.
func (c *Config) silence() uint64 { return uint64((c.Dead + c.Hello - 1) / c.Hello) }
