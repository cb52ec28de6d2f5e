// Package peer is a scripted partner on XCF: a scenario uses it in place of a stack to say to
// the stack under test exactly what it wants said, right or wrong, and to see what the
// stack answers. A scenario reads as a list of actions:
//
//	p, err := peer.Start(peer.Config{Identity: mvs1, Partner: mvs2, Key: key, ...})
//	err = p.WaitJoined(ctx)
//	err = p.Send(contract.VIPAList{...})
//	_, err = p.Expect(ctx, peer.Is(contract.SRVSTAT{...}))
//	err = p.Replay()
//	_, err = p.WaitEnded(ctx)
//
// By itself a peer sends HELLOs, takes part in the handshake and keeps a record; it sends no
// message that the scenario does not send. It opens no socket: it is given those of the
// namespace that it is to live in. Everything that waits does so until its context ends,
// which is the stated maximum, and then says what came instead.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Config is who a peer pretends to be, and the sockets it does so with.
type Config struct {
	// Identity is what HELLOs and greetings say. The peer dials if its XCF address is lower
	// than the partner's, and otherwise waits to be dialled.
	Identity contract.Identity
	// Partner is the XCF address of the stack under test; everybody else is passed over.
	Partner netip.Addr
	Key     contract.Key

	// Packets hears the partner's HELLOs: bound to contract.HelloPort on the XCF network.
	// The peer closes it.
	Packets net.PacketConn
	// Speak sends HELLOs, from the XCF address; nil: Packets does. The peer closes it.
	Speak net.PacketConn
	// Listener is bound to the XCF address; HELLOs announce its port. The peer closes it.
	Listener net.Listener
	// Dial connects to the partner from the XCF address.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)

	// HelloTo is where HELLOs go; the zero value is contract.HelloDestination.
	HelloTo netip.AddrPort
	// Hello is the time between two HELLOs; 0 is 50 ms.
	Hello time.Duration
	// Manual: the peer neither dials nor answers connections; the scenario does, by
	// DialRaw and AcceptRaw.
	Manual bool
}

const (
	defaultHello = 50 * time.Millisecond
	// handshakeLimit bounds a handshake; the stack under test has a limit of its own.
	handshakeLimit = 5 * time.Second
)

// ErrNotJoined: there is no authenticated connection with the partner now.
var ErrNotJoined = errors.New("not connected with the partner")

// Peer is a scripted partner. Its methods may be called from any goroutine.
type Peer struct {
	config  Config
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    sync.WaitGroup
	started time.Time

	mu          sync.Mutex
	changed     chan struct{} // closed and made anew with every entry of the record
	record      []Entry
	cursor      int // entries before it were matched or passed over by Expect
	identity    contract.Identity
	sequence    uint64
	silent      bool
	partner     contract.Hello // the last one heard
	dialing     bool
	connections int
	live        *connection
	raw         chan net.Conn // accepted connections, where Manual
	reading     chan struct{} // closed while the connection is read
}

// connection is an authenticated connection with the partner.
type connection struct {
	number  int
	conn    net.Conn
	session *contract.Session
	sending sync.Mutex
	last    []byte // the last frame sent whole
}

// Start begins to send HELLOs and to take connections. Close ends it.
func Start(config Config) (*Peer, error) {
	if config.Packets == nil || config.Listener == nil || config.Dial == nil {
		return nil, errors.New("start scripted peer: Packets, Listener and Dial are needed")
	}
	if !config.Partner.IsValid() {
		return nil, errors.New("start scripted peer: no partner named")
	}
	if config.Speak == nil {
		config.Speak = config.Packets
	}
	if config.Hello == 0 {
		config.Hello = defaultHello
	}
	if !config.HelloTo.IsValid() {
		config.HelloTo = contract.HelloDestination(config.Identity.XCF)
	}
	reading := make(chan struct{})
	close(reading)
	p := &Peer{
		config: config, identity: config.Identity, started: time.Now(),
		changed: make(chan struct{}), raw: make(chan net.Conn), reading: reading,
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if err := p.SendHello(nil); err != nil {
		p.Close()
		return nil, fmt.Errorf("start scripted peer %s: %w", config.Identity.Stack, err)
	}
	p.work.Go(p.speak)
	p.work.Go(p.hear)
	p.work.Go(p.accept)
	return p, nil
}

// Close ends the peer as the end of its process would: sockets close, and nothing is said.
func (p *Peer) Close() {
	p.cancel()
	p.config.Packets.Close()
	p.config.Speak.Close()
	p.config.Listener.Close()
	p.mu.Lock()
	live := p.live
	p.mu.Unlock()
	if live != nil {
		live.conn.Close()
	}
	p.work.Wait()
}

// Leave ends the peer in order: it says so, waits until the partner has closed its end, and
// closes everything.
func (p *Peer) Leave(ctx context.Context) error {
	p.mu.Lock()
	p.silent = true
	p.mu.Unlock()
	err := p.SendHello(func(h *contract.Hello) { h.Leaving = true })
	if err == nil {
		_, err = p.waitEnded(ctx, "the partner to close its end")
	}
	p.Close()
	return err
}

// Silence stops the HELLOs; the connection stays and is read. Speak ends it.
func (p *Peer) Silence() { p.setSilent(true) }

// Speak sends HELLOs again.
func (p *Peer) Speak() { p.setSilent(false) }

func (p *Peer) setSilent(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
}

// StopReading leaves what the partner sends in its socket; HELLOs go on. With Silence it is
// what a stopped process does.
func (p *Peer) StopReading() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.reading:
		p.reading = make(chan struct{})
	default:
	}
}

// StartReading ends StopReading.
func (p *Peer) StartReading() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.reading:
	default:
		close(p.reading)
	}
}

// Restart ends the connection and goes on as another incarnation, as a process that was
// started again on the same sockets.
func (p *Peer) Restart(incarnation uint64) error {
	p.mu.Lock()
	p.identity.Incarnation, p.sequence = incarnation, 0
	live := p.live
	p.mu.Unlock()
	if live != nil {
		live.conn.Close()
	}
	return p.SendHello(nil)
}
