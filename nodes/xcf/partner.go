package xcf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// ErrNotMember: no partner with this XCF address is in the group.
var ErrNotMember = errors.New("not a member of the group")

// ErrOverflow: so much waits for the partner that its connection was ended.
var ErrOverflow = errors.New("the partner does not take in messages; its connection was ended")

// errLeaving: this stack takes no partner any more.
var errLeaving = errors.New("this stack is leaving")

// partner is a member with its connection.
type partner struct {
	member  contract.Member
	session *contract.Session
	conn    *net.TCPConn
	outbox  *outbox
	written chan struct{} // closed when the writer has ended
	failed  error         // why the writer ended early; read after written
	inbox   inbox

	// Guarded by the group's mutex: it said in a HELLO that it leaves, at this tick.
	left   bool
	leftAt uint64
}

// Send queues a message for the partner at XCF address to. Messages to one partner arrive in
// the order of Send. An error matches ErrNotMember or ErrOverflow, or says what of the message
// breaks the contract.
func (g *Group) Send(to netip.Addr, m contract.Message) error {
	payload, err := g.payload(m)
	if err != nil {
		return fmt.Errorf("send to %s: %w", to, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.partners[to]
	if p == nil {
		return fmt.Errorf("send %s to %s: %w", m.Kind(), to, ErrNotMember)
	}
	if !p.outbox.put(payload) {
		g.end(p, Overflow)
		return fmt.Errorf("send %s to %s: %w", m.Kind(), to, ErrOverflow)
	}
	return nil
}

// Broadcast queues a message for every member of this moment. An error says what of the
// message breaks the contract; a partner that cannot take it in is lost.
func (g *Group) Broadcast(m contract.Message) error {
	payload, err := g.payload(m)
	if err != nil {
		return fmt.Errorf("send to all: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.partners {
		if !p.outbox.put(payload) {
			g.end(p, Overflow)
		}
	}
	return nil
}

func (g *Group) payload(m contract.Message) ([]byte, error) {
	payload, err := contract.Marshal(contract.Envelope{Sender: g.config.Self.Stack, Incarnation: g.config.Self.Incarnation, Message: m})
	if err != nil {
		return nil, err
	}
	if most := contract.MaxFrame - contract.MACSize; len(payload) > most {
		return nil, fmt.Errorf("%s of %d bytes, at most %d: %w", m.Kind(), len(payload), most, contract.ErrOversized)
	}
	return payload, nil
}

// admit takes an authenticated connection into the group, or says why not.
func (g *Group) admit(session *contract.Session, conn *net.TCPConn) error {
	member := session.Partner().Member
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leaving {
		return errLeaving
	}
	if _, err := g.roster.admissible(member); err != nil {
		return err
	}
	if before := g.partners[member.XCF]; before != nil {
		g.end(before, Reconnected)
		g.roster.claims[member.XCF].gone = false
	}
	p := &partner{member: member, session: session, conn: conn, outbox: newOutbox(), written: make(chan struct{})}
	g.partners[member.XCF] = p
	g.roster.admitted()
	g.queue.put(Joined{Member: member})
	g.work.Go(func() { g.read(p) })
	g.work.Go(func() { g.write(p) })
	return nil
}

// end takes a partner out of the group. Only an end that the partner made is closed in
// order; every other is a reset.
func (g *Group) end(p *partner, reason Reason) {
	xcf := p.member.XCF
	if g.partners[xcf] != p {
		return
	}
	delete(g.partners, xcf)
	g.roster.end(p.member, reason == Overflow || reason == Violation)
	p.outbox.finish()
	if reason == Left || reason == Ended {
		p.conn.Close()
	} else {
		abort(p.conn)
	}
	g.queue.putLost(&p.inbox, Lost{Member: p.member, Reason: reason})
	g.partedIfAlone()
}

// read delivers a partner's messages until its connection ends.
func (g *Group) read(p *partner) {
	for {
		m, err := p.session.Receive()
		var content *contract.MessageError
		switch {
		case err == nil:
			if !g.queue.putReceived(&p.inbox, Received{From: p.member, Message: m}) && !g.isLeaving() {
				return
			}
		case errors.As(err, &content):
			g.warnings.add("message ignored", p.member.XCF, fmt.Sprintf("%s: %v", p.member.Stack, err))
		case errors.Is(err, io.EOF) && isClosed(p.conn):
			// A failed connection says so once, and the writer may have been the one to hear;
			// to the reader it looks like an orderly end then.
			p.outbox.finish()
			<-p.written
			g.endedBy(p, cmp.Or(p.failed, err))
			return
		default:
			g.endedBy(p, err)
			return
		}
	}
}

// endedBy ends a partner whose connection cannot be read any more.
func (g *Group) endedBy(p *partner, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.partners[p.member.XCF] != p {
		return
	}
	reason := Reset
	switch {
	case errors.Is(err, contract.ErrMAC), errors.Is(err, contract.ErrOversized), errors.Is(err, contract.ErrTruncated):
		reason = Violation
		g.warnings.add("connection ended", p.member.XCF, fmt.Sprintf("%s: %v", p.member.Stack, err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		reason = Ended
		if p.left || g.leaving {
			reason = Left
		}
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		reason = Silent
	}
	g.end(p, reason)
}

// write sends what waits for a partner. After the last it closes our end, which tells a
// partner that leaves that we know; when we leave, it is the partner who closes first.
func (g *Group) write(p *partner) {
	defer close(p.written)
	for range p.outbox.wake {
		payloads, more := p.outbox.take()
		if len(payloads) > 0 {
			if p.failed = p.session.SendPayload(payloads...); p.failed != nil {
				return // the reader sees the end, and asks why
			}
		}
		if !more {
			if !g.isLeaving() {
				_ = p.conn.CloseWrite() // fails where the connection is gone already
			}
			return
		}
	}
}
