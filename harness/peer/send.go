package peer

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Send sends a message as a stack would.
func (p *Peer) Send(m contract.Message) error {
	c, err := p.current()
	if err != nil {
		return err
	}
	payload, err := c.session.Marshal(m)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	return p.send(c, payload, Entry{What: Sent, Message: m})
}

// SendPayload sends any bytes as the payload of a frame that is rightly keyed and in its
// place.
func (p *Peer) SendPayload(payload []byte) error {
	c, err := p.current()
	if err != nil {
		return err
	}
	return p.send(c, payload, Entry{What: Raw, Note: fmt.Sprintf("a payload of %d bytes", len(payload))})
}

// SendMalformed sends a frame, rightly keyed and in its place, whose payload is no protobuf
// message. The partner ignores it and keeps the connection.
func (p *Peer) SendMalformed() error { return p.SendPayload([]byte{0xff, 0xff, 0xff}) }

// SendUnknown sends a message of a kind that no version of the contract has yet (I11).
func (p *Peer) SendUnknown(field uint32) error { return p.Send(contract.Unknown{Field: field}) }

// SendFrame sends the message in a frame sealed otherwise than it should be: change gets a
// copy of what seals the next frame. The partner ends the connection.
func (p *Peer) SendFrame(m contract.Message, change func(*contract.Sealer)) error {
	c, err := p.current()
	if err != nil {
		return err
	}
	payload, err := c.session.Marshal(m)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	c.sending.Lock()
	sealer := c.session.Sealer()
	c.sending.Unlock()
	change(&sealer)
	frame, err := sealer.Append(nil, payload)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	return p.write(c, frame, "a frame sealed otherwise")
}

// SendWrongKey sends the message in a frame of another plex key.
func (p *Peer) SendWrongKey(m contract.Message) error {
	return p.SendFrame(m, func(s *contract.Sealer) { s.Key[0] ^= 1 })
}

// Replay sends the last frame that was sent whole once more, byte for byte.
func (p *Peer) Replay() error {
	c, err := p.current()
	if err != nil {
		return err
	}
	c.sending.Lock()
	last := c.last
	c.sending.Unlock()
	if last == nil {
		return fmt.Errorf("%s has sent nothing on this connection that it could repeat", p.name())
	}
	return p.write(c, last, "its last frame again")
}

// SendOversized sends the beginning of a frame that is one byte longer than any may be.
func (p *Peer) SendOversized() error {
	c, err := p.current()
	if err != nil {
		return err
	}
	return p.write(c, binary.BigEndian.AppendUint32(nil, contract.MaxFrame+1), "the length of an oversized frame")
}

// SendBytes writes any bytes to the connection.
func (p *Peer) SendBytes(b []byte) error {
	c, err := p.current()
	if err != nil {
		return err
	}
	return p.write(c, b, fmt.Sprintf("%d bytes", len(b)))
}

// SendHello sends one HELLO at once. change, where not nil, alters what it would say; the
// sequence of the peer goes on by itself.
func (p *Peer) SendHello(change func(*contract.Hello)) error {
	p.mu.Lock()
	defer p.mu.Unlock() // HELLOs leave in the order of their sequence
	p.sequence++
	h := contract.Hello{
		Plex: p.identity.Plex, Stack: p.identity.Stack, XCF: p.identity.XCF, Incarnation: p.identity.Incarnation,
		TCPPort: listenerPort(p.config.Listener), Sequence: p.sequence,
	}
	if change != nil {
		change(&h)
	}
	datagram, err := contract.SealHello(p.config.Key, h)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	return p.datagram(datagram)
}

// SendDatagram sends any bytes to where HELLOs go.
func (p *Peer) SendDatagram(b []byte) error { return p.datagram(b) }

// Disconnect closes the connection in order, as the end of a process would, and goes on
// sending HELLOs.
func (p *Peer) Disconnect() error {
	c, err := p.current()
	if err != nil {
		return err
	}
	return c.conn.Close()
}

// Reset ends the connection with a reset, as a stack does that gives up its partner.
func (p *Peer) Reset() error {
	c, err := p.current()
	if err != nil {
		return err
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return fmt.Errorf("%s resets its connection: %w", p.name(), err)
		}
	}
	return c.conn.Close()
}

func (p *Peer) datagram(b []byte) error {
	if _, err := p.config.Speak.WriteTo(b, net.UDPAddrFromAddrPort(p.config.HelloTo)); err != nil {
		return fmt.Errorf("%s sends a HELLO: %w", p.name(), err)
	}
	return nil
}

func listenerPort(l net.Listener) uint16 {
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Port()
	}
	return 0
}

func (p *Peer) current() (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live == nil {
		return nil, fmt.Errorf("%s: %w", p.name(), ErrNotJoined)
	}
	return p.live, nil
}

// send seals the payload as the next frame, keeps the frame for Replay, and notes it.
func (p *Peer) send(c *connection, payload []byte, e Entry) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	sealer := c.session.Sealer()
	frame, err := sealer.Append(nil, payload)
	if err == nil {
		err = c.session.SendPayload(payload)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	c.last = frame
	e.Connection = c.number
	p.add(e)
	return nil
}

func (p *Peer) write(c *connection, b []byte, note string) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if _, err := c.conn.Write(b); err != nil {
		return fmt.Errorf("%s sends %s: %w", p.name(), note, err)
	}
	p.add(Entry{What: Raw, Connection: c.number, Note: note})
	return nil
}
