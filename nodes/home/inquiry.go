package home

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Elsewhere asks the network who has some addresses, and returns those that another station said within a time to
// have. It asks without an address of its own, as a station does that is about to take one (RFC 5227, section
// 2.1.1; RFC 4862, section 5.4.2), so that no cache learns from it. It waits for all of that time; on an interface that
// is down nobody answers. It needs CAP_NET_RAW.
func (h *Home) Elsewhere(addresses []netip.Addr, within time.Duration) ([]netip.Addr, error) {
	until := time.Now().Add(within)
	var asked []inquiry
	defer func() {
		for _, q := range asked {
			q.conn.Close()
		}
	}()
	for _, a := range h.outside {
		q, err := a.inquire(addresses)
		if err != nil {
			return nil, fmt.Errorf("ask on %s who has %v: %w", a.name, addresses, err)
		}
		asked = append(asked, q)
	}
	said := make(map[netip.Addr]bool)
	for _, q := range asked {
		if err := q.hear(until, said); err != nil {
			return nil, fmt.Errorf("hear on %s who has %v: %w", q.name, addresses, err)
		}
	}
	return slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return !said[a] }), nil
}

// An inquiry is open on one interface, as long as answers are waited for: whoever listens to a network costs
// every packet of it a filter.
type inquiry struct {
	*announcer
	conn *packet.Conn
}

// everything is ETH_P_ALL: sockets of one protocol hear only what the data path lets in.
const everything = unix.ETH_P_ALL

func (a *announcer) inquire(addresses []netip.Addr) (inquiry, error) {
	filter, err := bpf.Assemble(claims)
	if err != nil {
		return inquiry{}, fmt.Errorf("assemble filter: %w", err)
	}
	conn, err := packet.Listen(&net.Interface{Index: a.index, Name: a.name, HardwareAddr: a.mac}, packet.Raw, everything, &packet.Config{Filter: filter})
	if err != nil {
		return inquiry{}, fmt.Errorf("open packet socket: %w", err)
	}
	for _, address := range addresses {
		if err := a.send(question(address, a.mac)); err != nil {
			return inquiry{}, errors.Join(err, conn.Close())
		}
	}
	return inquiry{a, conn}, nil
}

// hear notes the addresses that other stations say they have.
func (q inquiry) hear(until time.Time, said map[netip.Addr]bool) error {
	if err := q.conn.SetReadDeadline(until); err != nil {
		return err
	}
	frame := make([]byte, 128)
	for {
		n, _, err := q.conn.ReadFrom(frame)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENETDOWN):
			return nil
		case err != nil:
			return err
		}
		if address, station, ok := claimed(frame[:n]); ok && !bytes.Equal(station, q.mac) {
			said[address] = true
		}
	}
}

// Where things stand in an Ethernet frame that carries ARP, or a neighbour message without extension headers, and how
// long it is at least.
const (
	etherTypeAt, arpSenderAt, arpLength              = 12, 28, 42
	nextHeaderAt, icmpTypeAt, ndpTargetAt, ndpLength = 20, 54, 62, 78

	neighbourSolicitationType, neighbourAdvertisementType = 135, 136
)

// claims lets through ARP and neighbour advertisements.
var claims = []bpf.Instruction{
	bpf.LoadAbsolute{Off: etherTypeAt, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_ARP, SkipTrue: 5},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IPV6, SkipTrue: 5},
	bpf.LoadAbsolute{Off: nextHeaderAt, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 3},
	bpf.LoadAbsolute{Off: icmpTypeAt, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: neighbourAdvertisementType, SkipTrue: 1},
	bpf.RetConstant{Val: 1 << 16},
	bpf.RetConstant{Val: 0},
}

// claimed is the address that a frame, which claims let through, says the sender has. A question without an address of its
// sender says nothing.
func claimed(frame []byte) (address netip.Addr, station net.HardwareAddr, ok bool) {
	if len(frame) < arpLength {
		return netip.Addr{}, nil, false
	}
	station = net.HardwareAddr(frame[6:12])
	switch etherType := binary.BigEndian.Uint16(frame[etherTypeAt:]); {
	case etherType == unix.ETH_P_ARP:
		address = netip.AddrFrom4([4]byte(frame[arpSenderAt:]))
	case len(frame) >= ndpLength:
		address = netip.AddrFrom16([16]byte(frame[ndpTargetAt:]))
	}
	return address, station, address.IsValid() && !address.IsUnspecified()
}

// question is the Ethernet frame that asks who has an address: an ARP probe, or the neighbour solicitation of duplicate
// address detection.
func question(address netip.Addr, mac net.HardwareAddr) []byte {
	if address.Is4() {
		frame := arpAnnouncement(address, mac)
		copy(frame[arpSenderAt:], netip.IPv4Unspecified().AsSlice())
		return frame
	}
	own := address.As16()
	group := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: own[13], 14: own[14], 15: own[15]})
	message := append([]byte{neighbourSolicitationType, 0, 0, 0, 0, 0, 0, 0}, own[:]...)
	return neighbourMessage(netip.IPv6Unspecified(), group, mac, message)
}
