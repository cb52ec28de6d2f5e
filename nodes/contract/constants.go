package contract

import "net/netip"

// Constants of the contract: every implementation has the same. What may be tuned from
// plex to plex (timers, queues) stands with the implementation.
const (
	// HelloPort is the UDP port on the XCF address that HELLO datagrams are sent to.
	HelloPort = 4747

	// KeySize is the length of the plex key in bytes.
	KeySize = 32
	// NonceSize is the length of the random number of a greeting.
	NonceSize = 32
	// MACSize is the length of the HMAC-SHA-256 at the end of every datagram and frame.
	MACSize = 32

	// MaxHello is the greatest HELLO datagram, payload and MAC.
	MaxHello = 512
	// MaxGreeting is the greatest value of the length field until the partner is
	// authenticated, so that a stranger cannot make a stack set memory aside.
	MaxGreeting = 1024
	// MaxFrame is the greatest value of the length field: payload and MAC.
	MaxFrame = 1 << 20

	// MaxMembers is the number of stacks of a plex.
	MaxMembers = 128
	// MaxName is the length of the name of a plex or stack: 1 to 32 printable ASCII
	// characters without space.
	MaxName = 32
	// MaxApplication is the length of the name of an application, a trailing * included.
	MaxApplication = 8
	// MaxDVIPAs is the number of entries of a VIPA_LIST.
	MaxDVIPAs = 1024
	// MaxPortRanges is the number of ranges that one distribution enumerates.
	MaxPortRanges = 64
	// MaxWeight is the greatest weight of a target.
	MaxWeight = 65535
	// MaxCapacity is the greatest capacity of a WORKLOAD: 16,384 processors.
	MaxCapacity = 16384000
	// MaxConnections is the number of connections of one NEWCONN or TERMCONN; whoever has
	// more to tell sends several.
	MaxConnections = 16384
	// MaxPorts is the number of ports of one PORT_RELEASE or PORTS_HELD; whoever has more to
	// tell sends several.
	MaxPorts = 16384
)

// What HELLO datagrams are sent to, always on the XCF interface alone: the limited
// broadcast address, and for an IPv6 XCF address a transient multicast group of link scope
// (RFC 4291, section 2.7).
var (
	HelloBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	HelloMulticast = netip.MustParseAddr("ff12::4747")
)

// HelloDestination is where a stack with this XCF address sends its HELLO datagrams.
func HelloDestination(xcf netip.Addr) netip.AddrPort {
	if xcf.Is4() {
		return netip.AddrPortFrom(HelloBroadcast, HelloPort)
	}
	return netip.AddrPortFrom(HelloMulticast, HelloPort)
}
