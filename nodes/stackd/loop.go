package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

const (
	// taskBacklog is how many tasks wait before those who bring them wait too.
	taskBacklog = 1024
	// batchLimit is how many events are stepped before their actions are done together.
	batchLimit = 256
	// lateness bounds how long an event waits for others to be stepped with.
	lateness = time.Millisecond
)

var errStopped = errors.New("the stack is stopping")

// A task is one thing for the loop, which alone touches the core: an event or a view; neither where
// events wait that were posted for later.
type task struct {
	event vipa.Event
	view  func()
	done  chan struct{} // closed once the actions of the event are done, or the view is taken
}

// loop is the single thread of control of the stack: events in, actions out.
type loop struct {
	core  *vipa.Stack
	edges edges
	trace *trace
	log   *slog.Logger
	tasks chan task
	stop  chan struct{} // closed when run returns

	mu    sync.Mutex
	later []vipa.Event // that wait for the next task
}

// edges do what the core decides.
type edges interface {
	// send queues a message for one partner, or for all when to is the zero Addr.
	send(to netip.Addr, message contract.Message)
	// held returns the connections that the stack holds now to these DVIPAs, and to those that are
	// active here (Figure 11, block 131).
	held(dvipas map[netip.Addr]bool) []contract.Connection
	// apply commits actions that concern tables, addresses and routes, in order.
	apply(actions []vipa.Action) error
	// account takes actions that concern the coupling facility, without waiting for it.
	account(action vipa.Action)
	// follow takes in who keeps the table of the ports of a DVIPA, and tells it what this stack holds.
	follow(vipa.FollowOwner)
	// take asks for the ownership of a DVIPA, without waiting for the answer.
	take(vipa.TakeOwnership)
	// leave takes that back, as far as it is not under way.
	leave(dvipa netip.Addr)
	// answer lets a connect() go on, or fail where there is a reason.
	answer(connect uint64, reason string)
	// activated lets the binds go on that wait for a DVIPA, or fail where there is a reason.
	activated(dvipa netip.Addr, reason string)
	// varied answers an operator's command.
	varied(vipa.Varied)
	// published takes what the core knows of addresses, for those who bind and connect.
	published(*vipa.Addresses)
}

func newLoop(core *vipa.Stack, e edges, tr *trace, log *slog.Logger) *loop {
	return &loop{
		core: core, edges: e, trace: tr, log: log,
		tasks: make(chan task, taskBacklog), stop: make(chan struct{}),
	}
}

// run steps the core until ctx ends. Events that wait together are stepped together, and
// their table changes committed together: a commit costs an RCU grace period.
func (l *loop) run(ctx context.Context) {
	defer close(l.stop)
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-l.tasks:
			l.batch(t)
		}
	}
}

func (l *loop) batch(t task) {
	var actions []vipa.Action
	var views []func()
	var waiting []chan struct{}
	for n := 1; ; n++ {
		for _, event := range l.takeLater() {
			actions = append(actions, l.step(event)...)
		}
		if t.view != nil {
			views = append(views, t.view)
		} else if t.event != nil {
			actions = append(actions, l.step(t.event)...)
		}
		if t.done != nil {
			waiting = append(waiting, t.done)
		}
		if n == batchLimit {
			break
		}
		select {
		case t = <-l.tasks:
			continue
		default:
		}
		break
	}
	l.perform(actions)
	// What a view tells is done, not only decided.
	for _, view := range views {
		view()
	}
	for _, done := range waiting {
		close(done)
	}
}

// step takes one event through the core. The connections that go with a list are looked up at
// the last moment: the end of one that was told before must not be told before the connection.
func (l *loop) step(event vipa.Event) []vipa.Action {
	dvipas := make(map[netip.Addr]bool)
	switch e := event.(type) {
	case vipa.MessageReceived:
		if list, ok := e.Message.(contract.VIPAList); ok {
			for _, d := range list.DVIPAs {
				dvipas[d.Prefix.Addr()] = true
			}
			e.Connections = l.edges.held(dvipas)
			event = e
		}
	case vipa.OwnershipTaken:
		for _, o := range e.Taken {
			dvipas[o.DVIPA] = true
		}
		e.Connections = l.edges.held(dvipas)
		event = e
	}
	result := l.core.Step(event)
	l.trace.add(describe(event), result.Trace)
	return result.Actions
}

// perform does the actions in order. Table changes are held back and committed together,
// but always before a message that may tell of them goes out; so is what is known of addresses, or a bind
// that follows upon the message would be decided by what was before.
func (l *loop) perform(actions []vipa.Action) {
	var held []vipa.Action
	commit := func() {
		if len(held) == 0 {
			return
		}
		if err := l.edges.apply(held); err != nil {
			l.log.Error("tables not changed as decided", "error", err)
		} else {
			l.acknowledge(held)
			l.record(held)
		}
		held = held[:0]
	}
	publish := func() {
		commit()
		l.edges.published(l.core.Addresses())
	}
	for _, a := range actions {
		switch a := a.(type) {
		case vipa.Send:
			publish()
			l.edges.send(a.To, a.Message)
		case vipa.LetConnect:
			publish()
			l.edges.answer(a.ID, "")
		case vipa.RefuseConnect:
			l.edges.answer(a.ID, a.Reason)
		case vipa.FollowOwner:
			l.edges.follow(a)
		case vipa.LetBind:
			publish()
			l.edges.activated(a.DVIPA, "")
		case vipa.RefuseBind:
			l.edges.activated(a.DVIPA, a.Reason)
		case vipa.Varied:
			publish()
			l.edges.varied(a)
		case vipa.TakeOwnership:
			commit() // what is withdrawn here is not that which is taken
			l.edges.take(a)
		case vipa.LeaveOwnership:
			l.edges.leave(a.DVIPA)
		case vipa.CreateEntry, vipa.MarkPorts, vipa.ReleasePorts, vipa.ReclaimPorts:
			commit()
			l.edges.account(a)
		case vipa.Refuse:
			level := slog.LevelWarn
			if a.Late {
				level = slog.LevelInfo
			}
			l.log.Log(context.Background(), level, "refused", "from", a.From.Stack, "xcf", a.From.XCF, "reason", a.Reason)
		default:
			held = append(held, a)
		}
	}
	publish()
}

// acknowledge tells partners that the connections they wait for are in the CRT.
func (l *loop) acknowledge(committed []vipa.Action) {
	for _, a := range committed {
		if add, ok := a.(vipa.AddConnections); ok && add.Acknowledge != 0 {
			l.edges.send(add.Target, contract.NEWCONNAck{Acknowledge: add.Acknowledge})
		}
	}
}

// record logs which DVIPAs this stack owns from now on, and which no more.
func (l *loop) record(committed []vipa.Action) {
	for _, a := range committed {
		switch a := a.(type) {
		case vipa.Advertise:
			l.log.Info("DVIPA owned here", "dvipa", a.Prefix, "epoch", a.Epoch)
		case vipa.Withdraw:
			l.log.Info("DVIPA owned here no more", "dvipa", a.DVIPA)
		}
	}
}

// post hands an event to the loop, waiting while its backlog is full.
func (l *loop) post(event vipa.Event) {
	select {
	case l.tasks <- task{event: event}:
	case <-l.stop:
	}
}

// postLater hands over an event whose consequences nobody waits for: it is stepped before whatever is
// handed over from now on, and lateness from now at the latest. So an application that has
// been told its answer runs on before the stack does, on the processor that both share.
func (l *loop) postLater(event vipa.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later = append(l.later, event); len(l.later) == 1 {
		time.AfterFunc(lateness, func() { l.post(nil) })
	}
}

func (l *loop) takeLater() []vipa.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	later := l.later
	l.later = nil
	return later
}

// do hands an event to the loop and waits until its actions are done.
func (l *loop) do(event vipa.Event, limit time.Duration) error {
	return l.wait(task{event: event, done: make(chan struct{})}, limit)
}

// look runs view on the loop, so that it sees the core between two batches.
func (l *loop) look(limit time.Duration, view func()) error {
	return l.wait(task{view: view, done: make(chan struct{})}, limit)
}

func (l *loop) wait(t task, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case l.tasks <- t:
	case <-l.stop:
		return errStopped
	case <-timer.C:
		return context.DeadlineExceeded
	}
	select {
	case <-t.done:
		return nil
	case <-l.stop:
		return errStopped
	case <-timer.C:
		return context.DeadlineExceeded
	}
}
