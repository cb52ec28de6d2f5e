package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/datapath"
	"github.com/plexlab-dev/plexlab/nodes/home"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/nodes/pulse"
	"github.com/plexlab-dev/plexlab/nodes/routing"
	"github.com/plexlab-dev/plexlab/nodes/sockets"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/xcf"
)

const (
	// check, look and sweep are how often it is looked at listening sockets, at all of them, and at established
	// connections for new ones. They fall together with beats.
	check = 2 * portfile.BeatInterval
	look  = 30 * portfile.BeatInterval
	sweep = 15 * portfile.BeatInterval
	// gather is how long the end of a connection waits for others to be told with: a message, and
	// a transaction of the routing stack, cost the same for one as for hundreds.
	gather = 50 * time.Millisecond
	// ended outlives two sweeps: a connection that reused the addresses and ports of one that
	// ended, before that was known, is reported as held before its entry goes.
	ended = 3 * sweep
	// settleLimit is how long packets that match nothing are dropped silently at most while other stacks
	// have yet to tell what they hold (I20).
	settleLimit = 2 * time.Second
	// endLimit bounds how long the end of a stack takes.
	endLimit = 200 * time.Millisecond
)

// stack is one communication protocol stack: the core with its edges around it.
type stack struct {
	options options
	self    contract.Member
	log     *slog.Logger
	profile atomic.Pointer[profile.Profile]
	trace   *trace
	active  active
	// addresses is what binds and connects go by; see edges.published.
	addresses atomic.Pointer[vipa.Addresses]
	binds     sync.RWMutex // see ranges
	connects  connects
	settlings shared
	// activations are binds that wait for a DVIPA of a VIPARange.
	activations activations
	// varies are commands that wait for the core as connect() calls do.
	varies     connects
	varying    sync.Mutex
	before     int        // partners, when it left the group; guarded by varying
	selection  *selection // nil with round robin
	pulse      *pulse.Pulse
	processors processors
	obeying    sync.Mutex
	// parted holds the XCF addresses of members that reset their connection, left in order, or were the last to be
	// heard, and were not taken out of the CRT yet; their entries have grace left then.
	parted sync.Map
	grace  time.Duration

	loop    *loop
	path    *datapath.Path
	home    *home.Home
	routing atomic.Pointer[routing.Daemon] // nil where DVIPAs are not advertised by a routing protocol
	group   *xcf.Group
	monitor *sockets.Monitor
	broker  *sockets.Broker
	control net.Listener

	facility cf.Facility
	// inherited are ports that the facility has as this stack's because they were in use before it was started
	// (cf.File.Inherited).
	inherited func() map[netip.Addr][]uint16
	// replaced tells that the facility had been damaged and is another one now; nil: it never is.
	replaced <-chan struct{}
	// portsServed: the facility has given out ports, or could have.
	portsServed atomic.Bool
	// distributor is the facility where owners keep the tables of ports, else nil.
	distributor *cf.Distributor
	owners      cf.Owners
	// peers are the other stacks as the port file shows them; nil where there is none.
	peers func() ([]cf.Peer, error)
	// beat tells other stacks that this one runs, and what it sees.
	beat    func(members int, outside bool)
	outside atomic.Bool // a link to the outside is up
	// subnets are those of the outside links at the start: a link that is down may lose its addresses.
	subnets []netip.Prefix
	clerk   *clerk

	ownership *ownership
	around    *surroundings

	// opened are the closers of what was opened so far, last opened first to close.
	opened []func() error
}

// open makes everything that the stack needs, or nothing.
func open(o options, log *slog.Logger) (_ *stack, err error) {
	checked, err := o.check()
	if err != nil {
		return nil, err
	}
	key, err := contract.LoadKey(o.keyFile)
	if err != nil {
		return nil, err
	}
	s := &stack{options: o, log: log, trace: newTrace(), grace: 2 * cmp.Or(checked.dead, xcf.DefaultDead), self: contract.Member{
		Stack:       o.stack,
		XCF:         checked.xcf,
		Incarnation: uint64(time.Now().UnixNano()),
		Outside:     len(o.outside) > 0,
	}}
	defined, err := readProfile(o.profile)
	if err != nil {
		return nil, err
	}
	s.profile.Store(defined)
	network, err := networkOf(o.xcfInterface, s.self.XCF)
	if err != nil {
		return nil, err
	}
	s.subnets = subnetsOf(o.outside)
	s.outside.Store(s.self.Outside)
	core := vipa.New(vipa.Config{
		Self: s.self, Variant: checked.variant, XCFNetwork: network,
		OwnersKeepPorts: checked.ports.sharing == control.SharingDistributor,
	})
	s.loop = newLoop(core, s, s.trace, log)

	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.pulse, err = pulse.New(); err != nil {
		return nil, err
	}
	s.opened = append(s.opened, s.pulse.Close)
	if s.home, err = home.Open(home.Config{
		XCF: s.self.XCF, XCFInterface: o.xcfInterface, Outside: o.outside,
		FirstPort: checked.ports.first, LastPort: checked.ports.last, Log: log,
		OutsideChanged: s.outsideChanged,
	}); err != nil {
		return nil, err
	}
	s.opened = append(s.opened, s.home.Close)
	lapse := portfile.Lapse(cmp.Or(checked.dead, xcf.DefaultDead))
	if s.path, err = datapath.Open(datapath.Config{
		Self: s.self.XCF, XCFInterface: o.xcfInterface, LoopInterface: home.LoopInterface, Outside: o.outside, Ended: ended,
		Lease: lapse - datapath.LeaseMargin, Formerly: dvipasOf(s.profile.Load()),
	}); err != nil {
		return nil, err
	}
	s.opened = append(s.opened, s.path.Close)
	if err = s.home.Forward(); err != nil {
		return nil, err
	}
	// Not before: some of the settings of home are written under the lock of all network configuration of the machine, for which the
	// kernel asks again and again. A thread that is real-time would not let run whoever has it.
	schedule(log)
	if checked.routing != "" {
		daemon, err := routing.Open(routing.Config{
			Protocol: checked.routing, Interfaces: o.outside, RouterID: routing.RouterID(s.self.XCF), Dir: routingDir(o.controlPath),
			Hello: time.Duration(o.routingHello) * time.Second, Dead: time.Duration(o.routingDead) * time.Second,
			BFD: time.Duration(o.bfdMS) * time.Millisecond, Changed: s.adjacencyChanged, Log: log,
		})
		if err != nil {
			return nil, err
		}
		s.opened = append(s.opened, daemon.Close)
		s.routing.Store(daemon)
	}
	if s.monitor, err = sockets.NewMonitor(sockets.MonitorConfig{
		Deliver: s.noticed, Relevant: s.active.has, Check: check, Look: look, Sweep: sweep, Batch: gather, Pulse: s.pulse, Log: log,
	}); err != nil {
		return nil, err
	}
	left, err := s.leftOver()
	if err != nil {
		return nil, err
	}
	core.Inherit(left)
	if err = s.openFacility(checked.ports, lapse, left); err != nil {
		return nil, err
	}
	s.opened = append(s.opened, s.facility.Close)
	s.around = newSurroundings(s.self.XCF, s.peers, func() int { return s.group.Sight() }, s.found)
	if s.peers == nil && s.self.Outside {
		s.around.witness = witness{outside: s.outside.Load, owners: func() map[netip.Addr]netip.Addr { return s.addresses.Load().Owners() }, lapse: lapse}
	}
	s.ownership = newOwnership(&ownership{
		owners: s.owners, lives: s.around.owns, unsure: s.around.unsure, informed: s.around.informed,
		post: s.loop.post, log: log,
	})
	sight := sight{s.monitor, s.path}
	s.clerk = newClerk(clerkConfig{
		facility: s.facility, inherited: s.inherited, replaced: s.replaced, kernel: sight, self: s.self.XCF, post: s.loop.post, log: log,
		clusterPorts: func(dvipa netip.Addr) bool { return s.addresses.Load().ClusterPorts(dvipa) },
		ranges: ranges{
			kernel: sight, binds: &s.binds,
			activated: func() []netip.Addr { return s.addresses.Load().Ranged() },
			do:        func(event vipa.Event) error { return s.loop.do(event, noticeLimit) },
		},
	})
	if s.broker, err = sockets.NewBroker(sockets.BrokerConfig{
		Path: brokerPath(o.controlPath), Handler: s, Log: log,
	}); err != nil {
		return nil, err
	}
	if s.control, err = listenControl(o.controlPath); err != nil {
		return nil, err
	}
	s.opened = append(s.opened, s.control.Close)
	if s.selection, err = s.openSelection(checked.selection); err != nil {
		return nil, err
	}
	// The group last: partners are told of a stack that can serve.
	s.group, err = xcf.Join(xcf.Config{
		Plex: o.plex, Self: s.self, Interface: o.xcfInterface, Key: key,
		Hello: checked.hello, Dead: checked.dead, Excused: s.excused, Pulse: s.pulse, Logger: log,
	})
	return s, err
}

// networkOf is the network of an address of an interface.
func networkOf(name string, address netip.Addr) (netip.Prefix, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("XCF interface %s: %w", name, err)
	}
	addresses, err := link.Addrs()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("addresses of XCF interface %s: %w", name, err)
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == address {
			return prefix.Masked(), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("XCF interface %s does not have the address %s", name, address)
}

// leftOver are the addresses that sockets or remnants have before the stack does anything.
func (s *stack) leftOver() ([]netip.Addr, error) {
	used, err := s.monitor.PortsInUse(func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsUnspecified() && a != s.self.XCF })
	left := make(map[netip.Addr]bool)
	for local := range used {
		left[local.Addr()] = true
	}
	return slices.Collect(maps.Keys(left)), err
}

// subnetsOf are the networks that interfaces have addresses in, apart from those of a link alone.
func subnetsOf(interfaces []string) []netip.Prefix {
	var all []netip.Prefix
	for _, name := range interfaces {
		link, err := net.InterfaceByName(name)
		if err != nil {
			continue
		}
		addresses, err := link.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && !prefix.Addr().IsLinkLocalUnicast() && !prefix.IsSingleIP() {
				all = append(all, prefix.Masked())
			}
		}
	}
	return all
}

// serve runs until ctx ends or a part of the stack fails.
func (s *stack) serve(ctx context.Context) error {
	asked := ctx.Done()
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { s.loop.run(ctx); return nil })
	group.Go(func() error { s.clerk.run(ctx); return nil })
	group.Go(func() error { s.ownership.run(ctx); return nil })
	group.Go(func() error { return s.monitor.Run(ctx) })
	group.Go(func() error { return s.broker.Serve(ctx) })
	group.Go(func() error { return s.listenToGroup(ctx) })
	group.Go(func() error { s.keepLeases(ctx); return nil })
	group.Go(func() error { s.lookAround(ctx); return nil })
	group.Go(func() error { s.selection.run(ctx); return nil })
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: viewLimit}
	group.Go(func() error {
		if err := server.Serve(s.control); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve control API: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		defer end()
		select {
		case <-asked:
			s.handOver()
		case <-ctx.Done():
		}
		ending, cancel := context.WithTimeout(context.Background(), endLimit)
		defer cancel()
		return errors.Join(server.Shutdown(ending), s.group.Leave(ending))
	})
	s.loop.post(vipa.ProfileChanged{Definition: definition(s.profile.Load())})
	s.log.Info("started", "xcf", s.self.XCF, "incarnation", s.self.Incarnation, "outside", s.self.Outside)
	return group.Wait()
}

// handOver gives up what the stack owns before it ends, as if an operator took it out of its group: who comes next
// need not wait, and answers as soon as this stack does not.
func (s *stack) handOver() {
	if err := s.loop.do(vipa.Vary{Command: vipa.VaryLeaveGroup}, endLimit); err != nil {
		s.log.Warn("DVIPAs not handed over", "error", err)
	}
}

// close gives back what is open; the network namespace is left as it was found.
func (s *stack) close() {
	for i := len(s.opened) - 1; i >= 0; i-- {
		if err := s.opened[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Error("not closed in order", "error", err)
		}
	}
}

// listenToGroup hands what partners do and say to the core.
func (s *stack) listenToGroup(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-s.group.Events():
			if !ok {
				return nil
			}
			s.partner(event)
		}
	}
}

// found takes in what the port file tells of other stacks.
func (s *stack) found(event vipa.Event) {
	if lost, is := event.(vipa.MemberLost); is && lost.Cause == vipa.Ended {
		s.parted.Delete(lost.Member.XCF)
	}
	s.loop.post(event)
}

func (s *stack) partner(event xcf.Event) {
	if s.distributor != nil && s.sharePorts(event) {
		return
	}
	switch e := event.(type) {
	case xcf.Joined:
		s.log.Info("member joined", "member", e.Member.Stack, "xcf", e.Member.XCF)
		s.around.joined(e.Member)
	case xcf.Lost:
		s.log.Info("member lost", "member", e.Member.Stack, "xcf", e.Member.XCF, "reason", e.Reason)
		if e.Reason == xcf.Reset || e.Reason == xcf.Left || e.Reason == xcf.Silent && s.group.Sight() == 0 {
			s.parted.Store(e.Member.XCF, nil)
		} else {
			s.parted.Delete(e.Member.XCF)
		}
		s.selection.lost(e.Member.XCF)
		s.tellSight()
		s.around.left(e.Member, e.Reason)
	case xcf.Received:
		if w, ok := e.Message.(contract.Workload); ok {
			s.selection.reported(e.From.XCF, w, time.Now())
			return
		}
		s.loop.post(vipa.MessageReceived{From: e.From, Message: e.Message})
		if _, ok := e.Message.(contract.VIPAList); ok {
			s.around.listHeard(e.From)
		}
	case xcf.Problem:
		switch {
		case e.Asked:
			s.log.Info("not in the group", "reason", e.Text)
		case e.Text != "":
			s.log.Error("not in the group", "problem", e.Text)
		}
	}
}

// held is part of edges.
func (s *stack) held(dvipas map[netip.Addr]bool) []contract.Connection {
	held, err := s.monitor.Connections(func(a netip.Addr) bool { return dvipas[a] || s.active.has(a) })
	if err != nil {
		s.log.Error("connections not found", "error", err)
	}
	return asConnections(held)
}

// send is part of edges.
func (s *stack) send(to netip.Addr, message contract.Message) {
	if list, ok := message.(contract.VIPAList); ok && s.distributor != nil {
		s.distributor.Announce(to, list)
	}
	if !to.IsValid() {
		if err := s.group.Broadcast(message); err != nil {
			s.log.Error("message not sent", "kind", message.Kind(), "error", err)
		}
		return
	}
	switch err := s.group.Send(to, message); {
	case errors.Is(err, xcf.ErrNotMember): // lost meanwhile
		s.log.Info("message not sent", "to", to, "kind", message.Kind(), "error", err)
	case err != nil:
		s.log.Warn("message not sent", "to", to, "kind", message.Kind(), "error", err)
	}
}

// outsideChanged takes in that the last link to the outside went down, or that one is up again.
func (s *stack) outsideChanged(up bool) {
	s.log.Info("outside", "up", up)
	s.outside.Store(up)
	if daemon := s.routing.Load(); daemon != nil && !up {
		daemon.Doubt() // before the link is up again
	}
	s.loop.post(vipa.OutsideChanged{Up: up})
}

// adjacencyChanged takes in whether routers hear what is advertised.
func (s *stack) adjacencyChanged(to routing.Adjacency) {
	s.loop.post(vipa.AdjacencyChanged{Up: to == routing.Adjacent, HandOver: to == routing.Lost})
}

// account is part of edges.
func (s *stack) account(action vipa.Action) { s.clerk.ask(action) }

// take is part of edges.
func (s *stack) take(asked vipa.TakeOwnership) { s.ownership.ask(asked) }

// leave is part of edges.
func (s *stack) leave(dvipa netip.Addr) { s.ownership.leave(dvipa) }

// answer is part of edges.
func (s *stack) answer(connect uint64, reason string) { s.connects.answer(connect, reason) }

// activated is part of edges.
func (s *stack) activated(dvipa netip.Addr, reason string) { s.activations.answer(dvipa, reason) }

// published is part of edges.
func (s *stack) published(addresses *vipa.Addresses) {
	if s.addresses.Swap(addresses) == addresses {
		return
	}
	if err := s.home.SetOwners(addresses.Owners()); err != nil {
		s.log.Error("what is opened here to some DVIPAs does not reach their owners", "error", err)
	}
}

// apply is part of edges. An address leaves the stack before the data path forgets it, and
// comes after the data path knows it: no ARP request is answered in between.
func (s *stack) apply(actions []vipa.Action) error {
	s.processors.changing(actions)
	var failed []error
	do := func(what func(vipa.Action) error) {
		for _, a := range actions {
			if err := what(a); err != nil {
				failed = append(failed, err)
			}
		}
	}
	do(s.giveUp)
	rest, err := s.spare(actions)
	if err != nil {
		failed = append(failed, err)
	}
	if err := s.path.Apply(rest); err != nil {
		failed = append(failed, err)
	}
	advertises := slices.ContainsFunc(rest, isAdvertise)
	if advertises {
		// Whoever is to tell what it holds hears of it before the network does.
		s.group.Flush(listLimit)
	}
	do(s.takeOn)
	do(s.follows)
	if advertises {
		// The data path lets nothing out that tells of an address without a lease, and nothing in.
		s.path.Begin()
		failed = append(failed, s.beginLeases())
		do(s.advertise)
	}
	return errors.Join(failed...)
}

// spare does the DropTargets of stacks that may live on, and returns the other actions. A partner
// resets its XCF connection when it gave this stack up, which may have been stopped or cut off
// itself; what the partner holds it reports again once it is back, and until then no client is
// told that its connection is gone (I3). Nor is one where nobody is heard any more: this stack may be the one that is
// cut off, and another one takes over what it has.
func (s *stack) spare(actions []vipa.Action) (rest []vipa.Action, err error) {
	for _, a := range actions {
		if drop, ok := a.(vipa.DropTarget); ok {
			if _, parted := s.parted.LoadAndDelete(drop.Target); parted {
				err = errors.Join(err, s.path.LetExpire(drop.Target, s.grace))
				continue
			}
		}
		rest = append(rest, a)
	}
	return rest, err
}

func (s *stack) giveUp(action vipa.Action) error {
	switch a := action.(type) {
	case vipa.Withdraw:
		if daemon := s.routing.Load(); daemon != nil {
			daemon.Withdraw(a.DVIPA)
		}
		return s.home.Withdraw(a.DVIPA)
	case vipa.Deactivate:
		s.active.remove(a.DVIPA)
		return s.home.Deactivate(a.DVIPA)
	}
	return nil
}

// follows is what comes once the data path has changed.
func (s *stack) follows(action vipa.Action) error {
	switch a := action.(type) {
	case vipa.Withdraw:
		return s.ownership.ended(a.DVIPA)
	case vipa.EndOwnership:
		return s.ownership.end(a.DVIPA, a.Epoch)
	case vipa.Settle:
		if a.On {
			time.AfterFunc(settleLimit, func() { s.loop.post(vipa.SettleExpired{DVIPA: a.DVIPA}) })
		}
	}
	return nil
}

func (s *stack) takeOn(action vipa.Action) error {
	switch a := action.(type) {
	case vipa.Activate:
		s.active.add(a.DVIPA)
		return s.home.Activate(a.DVIPA)
	case vipa.SetWayOut:
		return s.home.SetWayOut(a.Via)
	}
	return nil
}

// advertise is block 104. Where this stack is not sure that it is the owner, the data path lets nothing out that tells of the
// address until it is.
func (s *stack) advertise(action vipa.Action) error {
	a, is := action.(vipa.Advertise)
	if !is || s.ownership.lost(a.Prefix.Addr()) {
		return nil // in the second case the core hears of it
	}
	// Hosts that share a network with the owner ask for the address itself, whatever routers are told.
	if daemon := s.routing.Load(); daemon != nil {
		daemon.Advertise(a.Prefix, a.Epoch)
	}
	return s.home.Advertise(a.Prefix)
}
