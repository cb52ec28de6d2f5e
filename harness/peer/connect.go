package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// dialIfOurs connects to the partner that was just heard, if it is ours to do and not done.
func (p *Peer) dialIfOurs() {
	if p.config.Manual || p.silent || p.partner.Leaving || p.live != nil || p.dialing || !p.identity.XCF.Less(p.config.Partner) {
		return
	}
	p.dialing = true
	to := netip.AddrPortFrom(p.config.Partner, p.partner.TCPPort)
	p.work.Go(func() {
		conn, err := p.config.Dial(p.ctx, to)
		if err == nil {
			p.introduce(conn)
		} else if p.ctx.Err() == nil {
			p.add(Entry{What: Refused, Err: err})
		}
		p.mu.Lock()
		p.dialing = false
		p.mu.Unlock()
	})
}

// accept takes connections of the partner.
func (p *Peer) accept() {
	for {
		conn, err := p.config.Listener.Accept()
		if err != nil {
			if p.ctx.Err() == nil {
				p.add(Entry{What: Failed, Err: err})
			}
			return
		}
		remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		switch {
		case err == nil && remote.Addr().Unmap() != p.config.Partner:
			conn.Close()
		case p.config.Manual:
			p.work.Go(func() {
				select {
				case p.raw <- conn:
				case <-p.ctx.Done():
					conn.Close()
				}
			})
		default:
			p.work.Go(func() { p.introduce(conn) })
		}
	}
}

// introduce runs the handshake and then reads the connection until it ends.
func (p *Peer) introduce(conn net.Conn) {
	p.mu.Lock()
	identity := p.identity
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, handshakeLimit)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	session, err := contract.Handshake{Key: p.config.Key, Local: identity}.Do(conn)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	cancel()
	if err != nil {
		conn.Close()
		p.add(Entry{What: Refused, Err: err})
		return
	}
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		conn.Close()
		return
	}
	p.connections++
	c := &connection{number: p.connections, conn: conn, session: session}
	before := p.live
	p.live = c
	p.append(Entry{What: Joined, Connection: c.number, Member: session.Partner().Member})
	p.work.Go(func() { p.read(c) })
	p.mu.Unlock()
	if before != nil {
		before.conn.Close()
	}
}

// read records what the partner sends until the connection ends.
func (p *Peer) read(c *connection) {
	defer c.conn.Close()
	for {
		p.mu.Lock()
		reading := p.reading
		p.mu.Unlock()
		select {
		case <-reading:
		case <-p.ctx.Done():
			return
		}
		m, err := c.session.Receive()
		if err == nil {
			p.add(Entry{What: Received, Connection: c.number, Message: m})
			continue
		}
		var content *contract.MessageError
		if errors.As(err, &content) {
			p.add(Entry{What: Malformed, Connection: c.number, Err: err})
			continue
		}
		p.mu.Lock()
		if p.live == c {
			p.live = nil
		}
		p.append(Entry{What: Ended, Connection: c.number, Err: err})
		p.mu.Unlock()
		return
	}
}

// DialRaw connects to the port that the partner's last HELLO announced and does nothing more;
// the scenario closes it.
func (p *Peer) DialRaw(ctx context.Context) (net.Conn, error) {
	if _, err := p.WaitHello(ctx, func(h contract.Hello) bool { return !h.Leaving }); err != nil {
		return nil, err
	}
	p.mu.Lock()
	to := netip.AddrPortFrom(p.config.Partner, p.partner.TCPPort)
	p.mu.Unlock()
	conn, err := p.config.Dial(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("%s dials %s: %w", p.name(), to, err)
	}
	return conn, nil
}

// AcceptRaw waits for a connection of the partner; the peer must be Manual. The scenario
// closes it.
func (p *Peer) AcceptRaw(ctx context.Context) (net.Conn, error) {
	select {
	case conn := <-p.raw:
		return conn, nil
	case <-ctx.Done():
		return nil, p.explain(ctx, "a connection of the partner", 0)
	}
}

func (p *Peer) name() string { return "peer " + p.config.Identity.Stack }
