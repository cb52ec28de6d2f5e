package xcf

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// speech numbers our HELLOs: they leave in the order of their sequence.
type speech struct {
	mu       sync.Mutex
	sequence uint64
	// last is the one that was said to all last. The link brings it back.
	last []byte
}

// echoes says whether a datagram is our own last HELLO.
func (s *speech) echoes(datagram []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Equal(datagram, s.last)
}

// say sends a HELLO.
func (g *Group) say(to netip.AddrPort, leaving bool) {
	g.speech.mu.Lock()
	defer g.speech.mu.Unlock()
	g.speech.sequence++
	self := g.config.Self
	datagram, err := contract.SealHello(g.config.Key, contract.Hello{
		Plex: g.config.Plex, Stack: self.Stack, XCF: self.XCF, Incarnation: self.Incarnation,
		TCPPort: g.sockets.port(), Sequence: g.speech.sequence, Leaving: leaving,
	})
	if err == nil {
		if to == contract.HelloDestination(self.XCF) {
			g.speech.last = datagram
		}
		err = g.sockets.speak(datagram, to)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		g.warnings.add("HELLO not sent", to.Addr(), err)
	}
}

// hearAll takes in the HELLOs that wait, and says whether one changed something. A flood is
// taken in parts, so that our own HELLOs are not late for it.
func (g *Group) hearAll() (news bool) {
	for range hearAtOnce / earful {
		n, err := g.sockets.in.hear()
		if err != nil {
			// The link is down, for instance; the kernel reports it once.
			g.warnings.add("no HELLO received", g.config.Self.XCF, err)
		}
		for i := range n {
			if g.hearOne(g.sockets.in.datagram(i)) {
				news = true
			}
		}
		if n < earful {
			return news
		}
	}
	return true // there is more
}

// hearOne takes in one datagram.
func (g *Group) hearOne(datagram []byte, source netip.Addr) (news bool) {
	if source == g.config.Self.XCF && g.speech.echoes(datagram) {
		return false
	}
	h, err := contract.OpenHello(g.config.Key, datagram)
	switch {
	case err != nil:
		g.warnings.add("HELLO ignored", source, err)
	case h.XCF != source:
		g.warnings.add("HELLO ignored", source, "it names the XCF address "+h.XCF.String()+", which is not its source")
	default:
		return g.hear(h)
	}
	return false
}

// hear acts on a HELLO that was rightly keyed and came from the address it names, and says
// whether that changed something.
func (g *Group) hear(h contract.Hello) (news bool) {
	g.mu.Lock()
	result := g.roster.hear(h, time.Now())
	if result.refused == "" {
		g.follow(h.XCF, result)
	}
	answer := result.fresh && g.roster.rival == nil && !g.leaving
	g.mu.Unlock()
	if result.refused != "" {
		g.warnings.add("HELLO ignored", h.XCF, h.Stack+": "+result.refused)
	}
	if answer {
		g.say(netip.AddrPortFrom(h.XCF, contract.HelloPort), false)
	}
	return result.fresh || result.left || result.out != ""
}

// follow does what a HELLO that is believed leads to.
func (g *Group) follow(xcf netip.Addr, result hearing) {
	if result.out != "" {
		g.stayOut()
		return
	}
	if p := g.partners[result.ousted]; p != nil {
		g.end(p, NameTaken)
	}
	p := g.partners[xcf]
	switch {
	case p != nil && result.replaced:
		g.end(p, Restarted)
	case p != nil && result.left && g.leaving:
		g.end(p, Left) // both leave: neither waits for the other
	case p != nil && result.left && !p.left:
		// It closes its end when we have closed ours, and what it still sent is read before.
		p.left, p.leftAt = true, g.roster.tick
		p.outbox.finish()
	}
	if result.fresh {
		close(g.heard)
		g.heard = make(chan struct{})
	}
	g.dialIfOurs(xcf)
}

// stayOut takes the stack out of the group: its roster has a rival.
func (g *Group) stayOut() {
	g.tellProblem()
	for _, p := range g.partners {
		g.end(p, NameTaken)
	}
	if !g.departed {
		g.work.Go(func() { g.say(contract.HelloDestination(g.config.Self.XCF), true) })
	}
}
