package contract

import (
	"fmt"
	"net/netip"

	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// Hello is the datagram by which partners find each other and notice silence. It is sent
// from the XCF address that it names, to HelloDestination.
type Hello struct {
	Plex        string
	Stack       string
	XCF         netip.Addr
	Incarnation uint64
	// TCPPort is where the stack accepts XCF connections, at its XCF address.
	TCPPort uint16
	// Sequence grows with every datagram of an incarnation, from 1.
	Sequence uint64
	// Leaving: the stack ends in order, or steps out of the group because its name or address
	// is taken.
	Leaving bool
}

// SealHello makes the datagram of a HELLO. It fails with a FieldError on a HELLO that
// OpenHello would refuse.
func SealHello(key Key, h Hello) ([]byte, error) {
	wire := &xcfpb.Hello{
		Plex: h.Plex, Stack: h.Stack, XcfAddress: addressBytes(h.XCF),
		Incarnation: h.Incarnation, TcpPort: uint32(h.TCPPort), Sequence: h.Sequence, Leaving: h.Leaving,
	}
	if _, err := decodeHello(wire); err != nil {
		return nil, err
	}
	payload, err := deterministic.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("HELLO: %w", err)
	}
	return SealHelloPayload(key, payload), nil
}

// SealHelloPayload makes a datagram of any payload; for scripted peers.
func SealHelloPayload(key Key, payload []byte) []byte {
	datagram := append(make([]byte, 0, len(payload)+MACSize), payload...)
	return appendMAC(datagram, key, []byte(contextHello), payload)
}

// OpenHello verifies and reads a datagram. Errors match ErrOversized, ErrTruncated, ErrMAC,
// or are a FieldError; nothing of the content is looked at before the MAC. Whether plex and
// sequence are the right ones is the caller's to decide.
func OpenHello(key Key, datagram []byte) (Hello, error) {
	if len(datagram) > MaxHello {
		return Hello{}, fmt.Errorf("HELLO of %d bytes, at most %d: %w", len(datagram), MaxHello, ErrOversized)
	}
	payload, err := open(key, datagram, []byte(contextHello))
	if err != nil {
		return Hello{}, fmt.Errorf("HELLO: %w", err)
	}
	wire := new(xcfpb.Hello)
	if err := proto.Unmarshal(payload, wire); err != nil {
		return Hello{}, fmt.Errorf("HELLO: not a protobuf message: %w", err)
	}
	return decodeHello(wire)
}

func decodeHello(wire *xcfpb.Hello) (Hello, error) {
	d := decoder{message: "HELLO"}
	h := Hello{
		Plex:        d.name("plex", wire.GetPlex(), MaxName),
		Stack:       d.name("stack", wire.GetStack(), MaxName),
		XCF:         d.own("xcf_address", wire.GetXcfAddress()),
		Incarnation: d.nonzero("incarnation", wire.GetIncarnation()),
		TCPPort:     d.port("tcp_port", wire.GetTcpPort()),
		Sequence:    d.nonzero("sequence", wire.GetSequence()),
		Leaving:     wire.GetLeaving(),
	}
	return h, d.error()
}
