package xcf

import (
	"context"
	"net"
	"sync"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Leave ends the stack's part in order: what waits is sent, partners are told, and Leave
// returns when each has let go, at the latest when ctx ends or after Dead. In any case
// everything is closed then, Events too. The error is that of ctx, or nil; a second call waits
// for the first.
func (g *Group) Leave(ctx context.Context) error { return g.leave(ctx) }

func (g *Group) leaveOnce() func(context.Context) error {
	var once sync.Once
	var err error
	return func(ctx context.Context) error {
		once.Do(func() { err = g.close(ctx) })
		return err
	}
}

// Depart takes the stack out of the group in order, as Leave does, and leaves everything open:
// every member is told as Lost, then Problem with why, which is not empty. Until Return the stack says
// nothing and takes no partner; it goes on listening. It returns when each partner has let go, at the latest when ctx
// ends or after Dead; one that has not is reset. The error is that of ctx, or net.ErrClosed after Leave; departed is the
// stack in the first case too.
func (g *Group) Depart(ctx context.Context, why string) error {
	g.partings.Lock()
	defer g.partings.Unlock()
	if g.ctx.Err() != nil {
		return net.ErrClosed
	}
	parting, cancel := context.WithTimeout(ctx, g.config.Dead)
	defer cancel()
	g.sayFarewell(parting, g.beginParting(why))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.partners {
		g.end(p, Silent)
	}
	g.departed, g.parted = true, nil
	g.tellProblem()
	return ctx.Err()
}

// Return brings a departed stack back, as the same incarnation. Where its name or XCF address went to
// another meanwhile, it stays out until that one is gone, as Problem says. A stack that has not departed goes on.
func (g *Group) Return() {
	g.partings.Lock()
	defer g.partings.Unlock()
	g.mu.Lock()
	if !g.departed {
		g.mu.Unlock()
		return
	}
	g.why, g.leaving, g.farewell, g.departed = "", false, false, false
	g.roster.wasAway()
	g.tellProblem()
	out := g.roster.rival != nil
	g.mu.Unlock()
	if !out {
		g.say(contract.HelloDestination(g.config.Self.XCF), false)
	}
}

// close is Leave.
func (g *Group) close(ctx context.Context) error {
	g.partings.Lock()
	defer g.partings.Unlock()
	parting, cancel := context.WithTimeout(ctx, g.config.Dead)
	defer cancel()
	leaving := g.beginParting("")
	g.queue.close()
	g.sockets.listener.Close()
	g.sayFarewell(parting, leaving)

	g.cancel()
	g.sockets.close()
	g.mu.Lock()
	for _, p := range g.partners {
		p.conn.Close()
	}
	g.mu.Unlock()
	g.work.Wait()
	return ctx.Err()
}

// beginParting begins nothing new from now on, and returns the partners that have to let go.
func (g *Group) beginParting(why string) []*partner {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.why, g.leaving, g.parted = why, true, make(chan struct{})
	partners := make([]*partner, 0, len(g.partners))
	for _, p := range g.partners {
		p.outbox.finish()
		partners = append(partners, p)
	}
	g.partedIfAlone()
	return partners
}

// sayFarewell says that we leave once all that waits is sent, and waits until each partner has closed its
// end, having read to ours.
func (g *Group) sayFarewell(parting context.Context, partners []*partner) {
	for _, p := range partners {
		select {
		case <-p.written:
		case <-parting.Done():
		}
	}
	g.mu.Lock()
	g.farewell = true
	speak := g.roster.rival == nil && !g.departed
	g.mu.Unlock()
	if speak {
		g.say(contract.HelloDestination(g.config.Self.XCF), true)
	}
	select {
	case <-g.parted:
	case <-parting.Done():
	}
}

// partedIfAlone lets the parting go on once no partner is left.
func (g *Group) partedIfAlone() {
	if g.parted != nil && len(g.partners) == 0 {
		select {
		case <-g.parted:
		default:
			close(g.parted)
		}
	}
}
