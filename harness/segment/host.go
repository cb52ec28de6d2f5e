package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// A Host is a machine played by a script: it has an address and a hardware address that no kernel
// knows, answers ARP or neighbour solicitations for it, and otherwise sends only what it is told to. So no kernel answers
// with an RST for connections that it never opened. It is safe for concurrent use.
type Host struct {
	port    *Port
	mac     net.HardwareAddr
	prefix  netip.Prefix
	gateway netip.Addr

	mu sync.Mutex
	// inbox holds the frames addressed to the host that nobody has taken yet, oldest first.
	inbox []Decoded
	// arrived is closed and made anew with every change of inbox and failure.
	arrived   chan struct{}
	neighbour map[netip.Addr]net.HardwareAddr
	failure   error
	ended     chan struct{}
}

// askInterval is the time between two questions for one address.
const askInterval = 100 * time.Millisecond

// NewHost puts a host with the address of prefix on the network of port and takes the port over.
// Destinations outside prefix are sent to gateway, which may be invalid where there are none.
// Close ends it.
func NewHost(port *Port, prefix netip.Prefix, gateway netip.Addr) (*Host, error) {
	if !prefix.IsValid() {
		return nil, errors.New("scripted host: no address")
	}
	h := &Host{
		port: port, mac: hostMAC(prefix.Addr()), prefix: prefix, gateway: gateway,
		arrived: make(chan struct{}), neighbour: map[netip.Addr]net.HardwareAddr{}, ended: make(chan struct{}),
	}
	go h.listen()
	return h, nil
}

// hostMAC is locally administered and holds the end of the address, so that it is unique on its
// network.
func hostMAC(a netip.Addr) net.HardwareAddr {
	b := a.AsSlice()
	return append(net.HardwareAddr{0x02, 0x53}, b[len(b)-4:]...)
}

// Address is the address of the host.
func (h *Host) Address() netip.Addr { return h.prefix.Addr() }

// MAC is the hardware address of the host.
func (h *Host) MAC() net.HardwareAddr { return h.mac }

// Close takes the host off its network and closes the port.
func (h *Host) Close() error {
	err := h.port.Close()
	<-h.ended
	return err
}

func (h *Host) listen() {
	defer close(h.ended)
	buffer := make([]byte, maxFrame)
	for {
		frame, err := h.port.Receive(buffer)
		if err != nil {
			h.change(func() { h.failure = err })
			return
		}
		if len(frame) < 14 {
			continue
		}
		group := bytes.Equal(frame[:2], groupMAC(netip.IPv6Unspecified())[:2])
		if !group && !bytes.Equal(frame[:6], h.mac) && !bytes.Equal(frame[:6], broadcast) {
			continue
		}
		if d := Decode(slices.Clone(frame)); !group || d.Kind == NDPKind {
			h.take(d)
		}
	}
}

func (h *Host) take(d Decoded) {
	switch d.Kind {
	case ARPKind:
		h.takeARP(d.ARP)
		return
	case NDPKind:
		h.takeNDP(d.NDP)
		return
	}
	h.change(func() { h.inbox = append(h.inbox, d) })
}

// takeARP follows RFC 826: whoever asks or answers the host is learned, a neighbour that is known
// already is learned anew from anything it says, gratuitous announcements included.
func (h *Host) takeARP(a ARP) {
	toMe := a.TargetIP == h.Address()
	h.change(func() {
		if _, known := h.neighbour[a.SenderIP]; known || toMe {
			h.neighbour[a.SenderIP] = a.SenderMAC
		}
	})
	if !toMe || a.Reply {
		return
	}
	err := h.sendARP(ARP{
		Reply: true, SenderMAC: h.mac, SenderIP: h.Address(), TargetMAC: a.SenderMAC, TargetIP: a.SenderIP,
	})
	if err != nil && !errors.Is(err, os.ErrClosed) {
		h.change(func() { h.failure = err })
	}
}

// takeNDP follows RFC 4861, section 7.2: whoever asks the host is learned, and so is what answers it;
// what is known already is learned anew from an advertisement with the override flag, unsolicited ones
// included. Who asks without an address, to find out whether somebody has the host's, is answered by way of all nodes.
func (h *Host) takeNDP(n NDP) {
	asked := !n.Advertisement && n.Target == h.Address()
	subject := n.Target
	if !n.Advertisement {
		subject = n.Src
	}
	h.change(func() {
		_, known := h.neighbour[subject]
		answered := n.Advertisement && (known && n.Override || !known && n.Dst == h.Address())
		if n.MAC != nil && (asked || answered) {
			h.neighbour[subject] = n.MAC
		}
	})
	asker, mac := n.Src, n.MAC
	if asker.IsUnspecified() {
		asker, mac = netip.IPv6LinkLocalAllNodes(), groupMAC(netip.IPv6LinkLocalAllNodes())
	}
	if !asked || mac == nil {
		return
	}
	frame, err := NDP{
		Advertisement: true, Override: true, Src: h.Address(), Dst: asker, Target: h.Address(), MAC: h.mac,
	}.Frame(h.mac, mac)
	if err == nil {
		err = h.port.Send(frame)
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		h.change(func() { h.failure = err })
	}
}

func (h *Host) change(how func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	how()
	close(h.arrived)
	h.arrived = make(chan struct{})
}

// await calls ready under the lock, after every change, until it says true.
func (h *Host) await(ctx context.Context, ready func() bool) error {
	for {
		h.mu.Lock()
		done, failure, arrived := ready(), h.failure, h.arrived
		h.mu.Unlock()
		switch {
		case done:
			return nil
		case failure != nil:
			return failure
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Receive takes the oldest frame to the host that match describes out of its inbox and waits for
// one where there is none. Frames that do not match stay.
func (h *Host) Receive(ctx context.Context, match func(Decoded) bool) (Decoded, error) {
	var taken Decoded
	err := h.await(ctx, func() bool {
		i := slices.IndexFunc(h.inbox, match)
		if i < 0 {
			return false
		}
		taken = h.inbox[i]
		h.inbox = slices.Delete(h.inbox, i, i+1)
		return true
	})
	if err != nil {
		return Decoded{}, fmt.Errorf("receive at %s: %w", h.Address(), err)
	}
	return taken, nil
}

// Resolve asks for the hardware address of a neighbour until it answers or ctx ends.
func (h *Host) Resolve(ctx context.Context, neighbour netip.Addr) (net.HardwareAddr, error) {
	var mac net.HardwareAddr
	known := func() bool { mac = h.neighbour[neighbour]; return mac != nil }
	for {
		attempt, cancel := context.WithTimeout(ctx, askInterval)
		h.mu.Lock()
		found := known()
		h.mu.Unlock()
		var err error
		if !found {
			err = h.Ask(neighbour)
			if err == nil {
				err = h.await(attempt, known)
			}
		}
		cancel()
		if err == nil {
			return mac, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("resolve %s from %s: %w", neighbour, h.Address(), err)
		}
	}
}

// Ask sends one question for a neighbour, and does not wait for an answer. What is known of the neighbour
// is kept.
func (h *Host) Ask(neighbour netip.Addr) error {
	if neighbour.Is4() {
		return h.sendARP(ARP{SenderMAC: h.mac, SenderIP: h.Address(), TargetIP: neighbour})
	}
	frame, err := NDP{Src: h.Address(), Target: neighbour, MAC: h.mac}.Frame(h.mac, nil)
	if err != nil {
		return err
	}
	return h.port.Send(frame)
}

func (h *Host) sendARP(a ARP) error {
	frame, err := a.Frame()
	if err != nil {
		return err
	}
	return h.port.Send(frame)
}

// Forget drops what the host learned about its neighbours, as after a DVIPA has moved.
func (h *Host) Forget() { h.change(func() { clear(h.neighbour) }) }

// Send sends a segment on its way: to its destination or to the gateway. Its source may be any.
func (h *Host) Send(ctx context.Context, s Segment) error {
	packet, err := s.Packet()
	if err != nil {
		return err
	}
	return h.SendPacket(ctx, s.Dst.Addr(), packet)
}

// SendPacket sends an IP packet on its way to destination.
func (h *Host) SendPacket(ctx context.Context, destination netip.Addr, packet []byte) error {
	hop := destination
	if !h.prefix.Contains(destination) {
		hop = h.gateway
	}
	if !hop.IsValid() {
		return fmt.Errorf("send to %s from %s: no gateway", destination, h.Address())
	}
	mac, err := h.Resolve(ctx, hop)
	if err != nil {
		return err
	}
	frame, err := Frame(h.mac, mac, packet)
	if err != nil {
		return err
	}
	return h.port.Send(frame)
}
