package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// again is how long the clerk waits before it tries once more what could not be done: ports that
// remnants still use, a coupling facility that is not there. A lock that was not to be had is tried
// for sooner, with pauses that grow from afterBusy to again: whoever holds it may give it back at any time.
const (
	again     = 250 * time.Millisecond
	afterBusy = 10 * time.Millisecond
)

// gatherReleases is how long a port that is to be given back waits for others. Asking the kernel which
// ports have sockets takes as long for one as for all, and keeps the processor from binds meanwhile: where ports are given
// back all the time, it is asked for a share of the time of one in sparingly, and every gatherLongest at least.
const (
	gatherReleases = 10 * time.Millisecond
	gatherLongest  = 50 * time.Millisecond
	sparingly      = 20
)

// clerk does what the core asks of the coupling facility, in order, apart from the loop: an entry
// may be locked for a while. What it did goes back to the core as an event.
type clerk struct {
	clerkConfig

	claims claims
	given  atomic.Uint64 // ports given back so far

	mu    sync.Mutex
	asked []vipa.Action
	wake  chan struct{} // of capacity 1
	flush chan chan struct{}

	// What is left to be done, of run alone.
	marks  map[netip.Addr]vipa.MarkPorts
	behalf behalf
	unused map[netip.Addr]map[uint16]bool // ports to be given back, with their rest
	gone   map[netip.Addr]contract.Member // stacks to be reclaimed, by XCF address
	told   map[string]bool                // failures that the log has, until the same succeeds
	busy   bool                           // a lock was not to be had in this try
	rested time.Time                      // from when on the kernel is asked again which ports have sockets
}

// clerkConfig is what a clerk works with.
type clerkConfig struct {
	facility cf.Facility
	kernel   kernel
	ranges   ranges
	self     netip.Addr // XCF address
	// inherited are ports that became the stack's because they were in use before it was started, each told once.
	inherited func() map[netip.Addr][]uint16
	// replaced tells that a coupling facility that was damaged has been replaced (cf.File.Replaced); nil: it
	// never is.
	replaced <-chan struct{}
	// clusterPorts says whether the ports of a DVIPA are assigned cluster-wide.
	clusterPorts func(netip.Addr) bool
	post         func(vipa.Event)
	log          *slog.Logger
}

// kernel is what the clerk asks about sockets and connections.
type kernel interface {
	// portsInUse returns the ports of the DVIPA that any socket or remnant of this stack has.
	portsInUse(dvipa netip.Addr) (map[uint16]bool, error)
	// routed returns the local ports of the connections to the DVIPA in the CRT, by target.
	routed(dvipa netip.Addr) (map[netip.Addr][]uint16, error)
}

func newClerk(c clerkConfig) *clerk {
	return &clerk{
		clerkConfig: c, wake: make(chan struct{}, 1), flush: make(chan chan struct{}),
		marks: map[netip.Addr]vipa.MarkPorts{}, unused: map[netip.Addr]map[uint16]bool{},
		gone: map[netip.Addr]contract.Member{}, told: map[string]bool{}, behalf: behalf{},
	}
}

// ask takes an action that concerns the coupling facility; it does not wait.
func (c *clerk) ask(a vipa.Action) {
	c.mu.Lock()
	c.asked = append(c.asked, a)
	c.mu.Unlock()
	c.nudge()
}

// nudge makes the clerk look now at what it waits for: a socket or a connection has ended.
func (c *clerk) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// settle returns when what was asked so far has been done, as far as it can be: ports that nothing uses are given
// back. It ends with ctx.
func (c *clerk) settle(ctx context.Context) {
	done := make(chan struct{})
	select {
	case c.flush <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// run works until ctx ends.
func (c *clerk) run(ctx context.Context) {
	retry := newRetry()
	defer retry.timer.Stop()
	var gathered <-chan time.Time // nil while nothing is gathered
	for {
		c.busy = false
		fired := false
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			c.takeAsked()
			if gathered == nil && c.mayGiveBack() {
				gathered = time.After(min(max(gatherReleases, time.Until(c.rested)), gatherLongest))
			}
			c.work(ctx)
		case <-gathered:
			gathered = nil
			c.giveBack(ctx)
		case done := <-c.flush:
			c.takeAsked()
			c.giveBack(ctx)
			close(done)
		case <-c.replaced:
			c.behalf.lost()
			c.work(ctx)
		case <-retry.timer.C:
			fired = true
			c.takeInherited()
			c.work(ctx)
			c.giveBack(ctx)
		}
		retry.next(c.busy, fired)
	}
}

// takeAsked notes all that was asked.
func (c *clerk) takeAsked() {
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	c.mu.Unlock()
	for _, a := range asked {
		c.take(a)
	}
}

// take notes what is to be done; the last word on a port, a stack or a DVIPA counts.
func (c *clerk) take(action vipa.Action) {
	switch a := action.(type) {
	case vipa.CreateEntry:
		c.report("make entry of "+a.DVIPA.String(), c.facility.Activate(a.DVIPA))
	case vipa.MarkPorts:
		c.marks[a.DVIPA] = a
	case vipa.ReclaimPorts:
		c.gone[a.Member.XCF] = a.Member
	case vipa.ReleasePorts:
		ports := c.unused[a.DVIPA]
		if ports == nil {
			ports = map[uint16]bool{}
			c.unused[a.DVIPA] = ports
		}
		for _, r := range a.Ports {
			ports[r.Port] = r.Rest
		}
	}
}

// takeInherited sees to it that ports are given back of which nobody is told when they are not used any more.
func (c *clerk) takeInherited() {
	for dvipa, ports := range c.inherited() {
		release := vipa.ReleasePorts{DVIPA: dvipa}
		for _, port := range ports {
			release.Ports = append(release.Ports, vipa.Release{Port: port, Rest: true})
		}
		c.take(release)
	}
}

// mayGiveBack: there is something that giveBack could do. Most connections end without that.
func (c *clerk) mayGiveBack() bool { return len(c.unused) > 0 || len(c.ranges.activated()) > 0 }

// giveBack gives back what nothing uses any more; the rest stays for the next time.
func (c *clerk) giveBack(ctx context.Context) {
	for dvipa := range c.unused {
		c.report("give back ports of "+dvipa.String(), c.release(ctx, dvipa))
		if len(c.unused[dvipa]) == 0 {
			delete(c.unused, dvipa)
		}
	}
	c.report("withdraw DVIPAs of a VIPARange", c.ranges.withdrawUnused())
}

// work does what else can be done now; the rest stays for the next time.
func (c *clerk) work(ctx context.Context) {
	for dvipa, mark := range c.marks {
		if c.report("mark ports of "+dvipa.String(), c.mark(ctx, mark)) {
			delete(c.marks, dvipa)
		}
	}
	c.report("mark ports of other stacks again", c.markAgain(ctx))
	for xcf, member := range c.gone {
		err := c.facility.Reclaim(ctx, member)
		// One that lives and was only lost on XCF keeps its ports until its process ends.
		if errors.Is(err, cf.ErrAlive) {
			continue
		}
		if c.report("take back the ports of "+member.Stack, err) {
			delete(c.gone, xcf)
		}
	}
}

// release gives back those of the ports that nothing uses (I18). The kernel is asked before the lock is
// taken, because that takes milliseconds, for which nobody else could bind. From then on
// only an application that claims a port of its stack once more can come to use it, and that is noted.
func (c *clerk) release(ctx context.Context, dvipa netip.Addr) error {
	waiting := c.unused[dvipa]
	ports := make([]uint16, 0, len(waiting))
	for port := range waiting {
		ports = append(ports, port)
	}
	c.claims.watch()
	defer c.claims.ignore()
	ports, err := c.free(dvipa, ports)
	if err != nil || len(ports) == 0 {
		return err
	}
	slices.Sort(ports)
	releases := make([]cf.Release, len(ports))
	for i, port := range ports {
		releases[i] = cf.Release{Port: port, Rest: waiting[port]}
	}
	var held []uint16
	freed, err := c.facility.Release(ctx, dvipa, releases, func(some []uint16) ([]uint16, error) {
		held = some
		return slices.DeleteFunc(slices.Clone(some), func(port uint16) bool {
			return c.claims.has(netip.AddrPortFrom(dvipa, port))
		}), nil
	})
	c.given.Add(uint64(len(freed)))
	if err == nil {
		// What the coupling facility does not have as this stack's needs no release.
		freed = append(freed, slices.DeleteFunc(ports, func(port uint16) bool { return slices.Contains(held, port) })...)
	}
	for _, port := range freed {
		delete(waiting, port)
	}
	if len(freed) > 0 {
		c.post(vipa.PortsReleased{DVIPA: dvipa, Ports: freed})
	}
	return err
}

// free are those of the ports that no socket and no remnant has.
func (c *clerk) free(dvipa netip.Addr, ports []uint16) ([]uint16, error) {
	asked := time.Now()
	used, err := c.kernel.portsInUse(dvipa)
	c.rested = time.Now().Add(sparingly * time.Since(asked))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ports), func(port uint16) bool { return used[port] }), nil
}

// mark notes what uses ports of the DVIPA already (T21, T22).
func (c *clerk) mark(ctx context.Context, m vipa.MarkPorts) error {
	used, err := c.kernel.portsInUse(m.DVIPA)
	if err != nil {
		return err
	}
	own := make([]uint16, 0, len(used))
	for port := range used {
		own = append(own, port)
	}
	mine, err := c.markFor(ctx, m.DVIPA, c.self, uses(own, m.Own))
	if err != nil {
		return err
	}
	if m.Served != nil {
		routed, err := c.kernel.routed(m.DVIPA)
		if err != nil {
			return err
		}
		for target, ports := range routed {
			if target == c.self {
				continue
			}
			theirs := uses(ports, m.Other)
			c.behalf.note(m.DVIPA, target, theirs)
			if _, err := c.markFor(ctx, m.DVIPA, target, theirs); err != nil {
				return err
			}
		}
	}
	c.post(vipa.PortsMarked{DVIPA: m.DVIPA, Ports: mine})
	return nil
}

// markFor marks ports for one stack, and returns those of them that no other stack had first.
func (c *clerk) markFor(ctx context.Context, dvipa, holder netip.Addr, uses []vipa.PortUse) ([]vipa.PortUse, error) {
	held := make([]cf.Held, len(uses))
	for i, u := range uses {
		held[i] = cf.Held{Port: u.Port, Use: cfUse(u.Use)}
	}
	if len(held) == 0 {
		return nil, nil
	}
	conflicts, err := c.facility.Mark(ctx, dvipa, holder, held)
	for _, conflict := range conflicts {
		c.log.Warn("port of a DVIPA is in use by two stacks", "dvipa", dvipa, "port", conflict.Port, "for", holder, "holder", conflict.Holder)
	}
	return slices.DeleteFunc(slices.Clone(uses), func(u vipa.PortUse) bool {
		return slices.ContainsFunc(conflicts, func(conflict cf.Conflict) bool { return conflict.Port == u.Port })
	}), err
}

// uses are ports, each once and in order, with how they are assigned.
func uses(ports []uint16, assigned func(uint16) vipa.Use) []vipa.PortUse {
	slices.Sort(ports)
	var all []vipa.PortUse
	for _, port := range slices.Compact(ports) {
		all = append(all, vipa.PortUse{Port: port, Use: assigned(port)})
	}
	return all
}

// report tells the log of a failure once, and says whether there was none.
func (c *clerk) report(what string, err error) bool {
	if err == nil {
		delete(c.told, what)
		return true
	}
	c.busy = c.busy || errors.As(err, new(*cf.BusyError))
	if !c.told[what] {
		c.told[what] = true
		c.log.Warn("coupling facility: will be tried again", "what", what, "error", err)
	}
	return false
}
