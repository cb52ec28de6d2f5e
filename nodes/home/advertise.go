package home

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/mdlayher/packet"
)

// announcements are the times after the first at which a new ownership is told again: a
// neighbour may have missed one. The first is sent before Advertise returns.
var announcements = []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second}

// Advertise tells the network that this stack has the DVIPA now (Figure 10, block 104): by
// gratuitous ARP (RFC 5944, section 4.6) on every outside link. The DVIPA is active before.
// IPv6 is errors.ErrUnsupported.
func (h *Home) Advertise(prefix netip.Prefix) error {
	dvipa := prefix.Addr()
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, active := h.dvipas[dvipa]; !active {
		return fmt.Errorf("advertise %s: it is not active", dvipa)
	}
	if dvipa.Is6() {
		return fmt.Errorf("advertise %s: IPv6: %w", dvipa, errors.ErrUnsupported)
	}
	h.dvipas[dvipa] = true
	err := h.announce(dvipa)
	h.repeats.Go(func() { h.repeat(dvipa) })
	return err
}

// Withdraw ends the advertising; the address stays until Deactivate.
func (h *Home) Withdraw(dvipa netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, active := h.dvipas[dvipa]; active {
		h.dvipas[dvipa] = false
	}
	return nil
}

// repeat announces the DVIPA again as long as it is advertised.
func (h *Home) repeat(dvipa netip.Addr) {
	for _, wait := range announcements {
		select {
		case <-h.ending.Done():
			return
		case <-time.After(wait):
		}
		h.mu.Lock()
		advertised := h.dvipas[dvipa]
		if advertised {
			// The first announcement told of what fails here.
			_ = h.announce(dvipa)
		}
		h.mu.Unlock()
		if !advertised {
			return
		}
	}
}

func (h *Home) announce(dvipa netip.Addr) error {
	var failed []error
	for _, name := range h.config.Outside {
		if err := gratuitousARP(name, dvipa); err != nil {
			failed = append(failed, fmt.Errorf("announce %s on %s: %w", dvipa, name, err))
		}
	}
	return errors.Join(failed...)
}

// gratuitousARP sends an ARP request for the sender's own address to everyone.
func gratuitousARP(name string, dvipa netip.Addr) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := gopacket.NewSerializeBuffer()
	err = gopacket.SerializeLayers(frame, gopacket.SerializeOptions{},
		&layers.Ethernet{SrcMAC: link.HardwareAddr, DstMAC: broadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, HwAddressSize: 6,
			Protocol: layers.EthernetTypeIPv4, ProtAddressSize: 4,
			Operation:         layers.ARPRequest,
			SourceHwAddress:   link.HardwareAddr,
			SourceProtAddress: dvipa.AsSlice(),
			DstHwAddress:      make([]byte, 6),
			DstProtAddress:    dvipa.AsSlice(),
		})
	if err != nil {
		return err
	}
	conn, err := packet.Listen(link, packet.Raw, 0, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.WriteTo(frame.Bytes(), &packet.Addr{HardwareAddr: broadcast})
	return err
}
