package segment

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Conn is a TCP connection made by hand. It sends each segment once: a segment that is lost
// stays lost, which is what a spec wants to see. Not for concurrent use.
type Conn struct {
	host          *Host
	local, remote netip.AddrPort
	// next is the sequence number of the next byte sent, expected that of the next byte received.
	next, expected uint32
	// ended: the other end's FIN was read.
	ended bool
}

// Dial opens a connection from port to remote: SYN, SYN-ACK, ACK. An RST in answer is
// ECONNREFUSED; without an answer it ends with ctx.
func (h *Host) Dial(ctx context.Context, port uint16, remote netip.AddrPort) (*Conn, error) {
	c := &Conn{host: h, local: netip.AddrPortFrom(h.Address(), port), remote: remote}
	syn := NewSYN(c.local, remote)
	c.next = syn.Next()
	if err := h.Send(ctx, syn); err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", c.local, remote, err)
	}
	answer, err := c.Receive(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("connect %s to %s: %w", c.local, remote, err)
	case answer.Flags&RST != 0:
		return nil, fmt.Errorf("connect %s to %s: %w", c.local, remote, unix.ECONNREFUSED)
	case answer.Flags&(SYN|ACK) != SYN|ACK || answer.Ack != c.next:
		return nil, fmt.Errorf("connect %s to %s: answered by %s", c.local, remote, answer)
	}
	c.expected = answer.Next()
	return c, c.acknowledge(ctx)
}

// Local and Remote are the ends of the connection.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Remote is the end that was dialled.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Receive takes the next segment of the connection as it is and does not answer it.
func (c *Conn) Receive(ctx context.Context) (Segment, error) {
	d, err := c.host.Receive(ctx, Pattern{Src: c.remote, Dst: c.local}.Match)
	return d.Segment, err
}

// Write sends payload in one segment. It does not wait for the acknowledgement.
func (c *Conn) Write(ctx context.Context, payload []byte) error {
	s := NewData(c.local, c.remote, c.next, c.expected, payload)
	c.next = s.Next()
	return c.host.Send(ctx, s)
}

// Read waits for the next payload in order and acknowledges it. What comes twice or too early is
// left to be sent again by the other end. The other end's FIN is io.EOF, its RST ECONNRESET.
func (c *Conn) Read(ctx context.Context) ([]byte, error) {
	for !c.ended {
		s, err := c.Receive(ctx)
		switch {
		case err != nil:
			return nil, err
		case s.Flags&RST != 0:
			return nil, fmt.Errorf("read %s from %s: %w", c.local, c.remote, unix.ECONNRESET)
		case s.Next() == s.Seq: // nothing but an acknowledgement
			continue
		}
		inOrder := s.Seq == c.expected
		if inOrder {
			c.expected, c.ended = s.Next(), s.Flags&FIN != 0
		}
		if err := c.acknowledge(ctx); err != nil {
			return nil, err
		}
		if inOrder && len(s.Payload) > 0 {
			return s.Payload, nil
		}
	}
	return nil, io.EOF
}

// Close sends FIN and reads until the other end has ended its direction too.
func (c *Conn) Close(ctx context.Context) error {
	s := NewFIN(c.local, c.remote, c.next, c.expected)
	c.next = s.Next()
	if err := c.host.Send(ctx, s); err != nil {
		return err
	}
	for {
		if _, err := c.Read(ctx); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Reset ends the connection with an RST and waits for nothing.
func (c *Conn) Reset(ctx context.Context) error {
	s := NewRST(c.local, c.remote, c.next)
	s.Flags |= ACK
	s.Ack = c.expected
	return c.host.Send(ctx, s)
}

func (c *Conn) acknowledge(ctx context.Context) error {
	return c.host.Send(ctx, NewACK(c.local, c.remote, c.next, c.expected))
}
