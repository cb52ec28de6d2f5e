package xcf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Group is a stack's part in the group of its plex. Its methods may be called from any
// goroutine.
type Group struct {
	config   Config
	sockets  *sockets
	warnings *warnings
	queue    *queue
	events   chan Event
	halfOpen halfOpen

	ctx    context.Context // ends when the group is closed
	cancel context.CancelFunc
	work   sync.WaitGroup
	speech speech

	mu       sync.Mutex
	roster   *roster
	partners map[netip.Addr]*partner
	dialing  map[netip.Addr]*dialing
	heard    chan struct{} // closed, and made anew, when a HELLO was taken in that changes something
	problem  string        // as told
	why      string        // of Depart; empty while the stack takes part
	leaving  bool          // nothing new is begun
	farewell bool          // our HELLOs say that we leave
	departed bool          // and now we are silent
	parted   chan struct{} // closed when leaving and the last partner is gone; nil before

	leave    func(context.Context) error
	partings sync.Mutex // one parting or return at a time
}

// Partner is a member other than the stack itself.
type Partner struct {
	contract.Member
	// Heard is the age of its last HELLO.
	Heard time.Duration
}

// Join takes up the stack's part in the group: when it returns, the first HELLO is sent and
// connections are accepted. It needs no privilege. An error leaves nothing open; one that
// matches EADDRINUSE says that another stack runs in the same network namespace. Events must
// be read; Leave ends it.
func Join(config Config) (*Group, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("join XCF group: %w", err)
	}
	sockets, err := openSockets(&config)
	if err != nil {
		return nil, fmt.Errorf("join XCF group: %w", err)
	}
	g := &Group{
		config: config, sockets: sockets, warnings: newWarnings(config.Logger),
		queue: newQueue(), events: make(chan Event),
		roster:   newRoster(config.Plex, config.Self, config.silence(), config.Excused),
		partners: make(map[netip.Addr]*partner), dialing: make(map[netip.Addr]*dialing), heard: make(chan struct{}),
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.leave = g.leaveOnce()
	g.say(contract.HelloDestination(config.Self.XCF), false)
	g.work.Go(func() { g.queue.deliver(g.events, g.ctx.Done()) })
	silence := g.config.Pulse.Add(g.newHeartbeat().beat)
	g.work.Go(func() {
		<-g.ctx.Done()
		silence()
		g.sockets.in.close()
	})
	g.work.Go(g.acceptAll)
	return g, nil
}

// Events is what happens in the group. Joined, Lost and Problem wait for the consumer without
// bound, messages up to a bound for each partner, after which the partner waits. The channel
// is closed by Leave.
func (g *Group) Events() <-chan Event { return g.events }

// Members are the partners in the group, by XCF address.
func (g *Group) Members() []Partner {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	members := make([]Partner, 0, len(g.partners))
	for xcf, p := range g.partners {
		members = append(members, Partner{Member: p.member, Heard: now.Sub(g.roster.claims[xcf].at)})
	}
	slices.SortFunc(members, func(a, b Partner) int { return a.XCF.Compare(b.XCF) })
	return members
}

// Sight is how many partners were heard within half the time of silence. When the network fails as a whole, it is
// 0 everywhere before anybody is lost.
func (g *Group) Sight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	sight := 0
	for xcf := range g.partners {
		if g.roster.fresh(xcf) {
			sight++
		}
	}
	return sight
}

// Problem says what keeps the stack itself out of the group, or is empty.
func (g *Group) Problem() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.problem
}

// heartbeat sends a HELLO each Hello, and counts them: time, for the roster, is our own HELLOs.
// Between them it takes in those of others, more often after the group has changed.
type heartbeat struct {
	*Group
	said time.Time // when a HELLO was sent
	next time.Time // when the next one is due
	// changed is when something did.
	changed time.Time
}

func (g *Group) newHeartbeat() *heartbeat {
	now := time.Now()
	return &heartbeat{Group: g, said: now, changed: now, next: g.config.Pulse.Next(now, g.config.Hello)}
}

// beat is a duty of the pulse.
func (b *heartbeat) beat(now time.Time) time.Time {
	if b.hearAll() {
		b.changed = now
	}
	if !now.Before(b.next) {
		away := now.Sub(b.said)
		b.said, b.next = now, b.config.Pulse.Next(now, b.config.Hello)
		if away >= b.config.Dead {
			b.config.Logger.Warn("this stack was not given the processor; partners may have lost it", "for", away)
		}
		if speak, farewell := b.tick(away >= b.config.Dead); speak {
			b.say(contract.HelloDestination(b.config.Self.XCF), farewell)
		}
	}
	if glanced := now.Add(glance(now.Sub(b.changed))); glanced.Before(b.next) {
		return glanced
	}
	return b.next
}

// glance is the time until HELLOs are taken in again when the group last changed so long ago.
func glance(since time.Duration) time.Duration { return max(firstGlance, since/glances) }

// tick counts one HELLO and ends what fell silent. It returns whether the HELLO is to be
// sent, and whether it says that we leave.
func (g *Group) tick(away bool) (speak, farewell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	back := g.roster.pass(away)
	suspects := g.roster.suspects()
	if len(suspects) > 0 {
		// We may have been kept waiting since we heard.
		g.mu.Unlock()
		g.hearAll()
		g.mu.Lock()
	}
	for _, xcf := range g.roster.condemn(suspects) {
		if p := g.partners[xcf]; p != nil {
			g.end(p, Silent)
		}
	}
	for _, p := range g.partners {
		if p.left && g.roster.tick-p.leftAt > g.roster.silence {
			g.end(p, Left)
		}
	}
	if back {
		g.tellProblem()
	}
	return g.roster.rival == nil && !g.departed, g.farewell
}

func (g *Group) isLeaving() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leaving
}

// tellProblem tells what keeps us out of the group, if that has changed.
func (g *Group) tellProblem() {
	text := g.why
	if text == "" {
		text = g.roster.problem()
	}
	if g.problem == text {
		return
	}
	g.problem = text
	g.queue.put(Problem{Text: text, Asked: g.why != ""})
}
