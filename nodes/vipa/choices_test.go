package vipa_test

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// partners is how many stacks there are besides the one under test.
const partners = 4

// xcf is the XCF address of a stack; 0 is the one under test, which others are below and above.
func xcf(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, 0, []byte{3, 1, 2, 4, 5}[i]})
}

var (
	dvipas = []netip.Addr{
		netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"),
	}
	locals = append([]netip.Addr{
		netip.IPv4Unspecified(), netip.IPv6Unspecified(),
		netip.MustParseAddr("::ffff:10.9.0.1"), netip.MustParseAddr("10.1.0.3"),
	}, dvipas...)
)

// choices makes events from bytes; each choice takes one, and none are left at the end.
type choices struct {
	data []byte
	// epochs are those that the stack owns DVIPAs at, for messages that are to the point.
	epochs map[netip.Addr]uint64
	asked  uint64 // the latest connect()
}

func (c *choices) left() bool { return len(c.data) > 0 }

func (c *choices) n(limit int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % limit
}

func (c *choices) bool() bool { return c.n(2) == 1 }

func (c *choices) dvipa() netip.Addr { return dvipas[c.n(len(dvipas))] }

func (c *choices) port() uint16 { return uint16(60 + c.n(4)) }

func (c *choices) service() netip.AddrPort { return netip.AddrPortFrom(c.dvipa(), c.port()) }

func (c *choices) member() contract.Member {
	i := c.n(partners + 1)
	return contract.Member{
		Stack: string(rune('A' + i)), XCF: xcf(i), Incarnation: uint64(1 + c.n(8)/6), Outside: i%2 == 0,
	}
}

func (c *choices) event() vipa.Event {
	switch c.n(52) {
	case 0:
		return vipa.ProfileChanged{Definition: c.definition()}
	case 1, 2:
		return vipa.MemberJoined{Member: c.member()}
	case 3:
		return vipa.MemberLost{Member: c.member(), Cause: vipa.Cause(c.n(6))}
	case 4, 5:
		return vipa.ListenStarted{Listener: vipa.Listener{
			ID: uint64(c.n(6)), Local: netip.AddrPortFrom(locals[c.n(len(locals))], c.port()), V6Only: c.bool(),
		}}
	case 6:
		return vipa.ListenEnded{ID: uint64(c.n(6))}
	case 7:
		return vipa.ConnectionsHeld{Connections: c.connections()}
	case 8:
		return vipa.ConnectionsEnded{Connections: c.connections()}
	case 32, 33:
		return vipa.PortBound{
			ID: uint64(c.n(6)), Local: c.service(), Use: vipa.Use(c.n(3)), Outbound: c.n(4) == 0, NeverConnected: c.bool(),
			Chosen: c.bool(),
		}
	case 34, 35:
		return vipa.SocketClosed{ID: uint64(c.n(6)), Local: c.service(), NeverConnected: c.bool()}
	case 36:
		ev := vipa.PortsMarked{DVIPA: c.dvipa()}
		for range c.n(3) {
			ev.Ports = append(ev.Ports, vipa.PortUse{Port: c.port(), Use: vipa.Use(1 + c.n(2))})
		}
		return ev
	case 37:
		return vipa.PortsReleased{DVIPA: c.dvipa(), Ports: []uint16{c.port(), c.port()}}
	case 38:
		return vipa.BindInRange{DVIPA: c.dvipa()}
	case 39:
		return vipa.RangeUnused{DVIPA: c.dvipa()}
	case 40, 41:
		c.asked++
		every := everyConnection()
		return vipa.ConnectAsked{ID: c.asked, Connection: every[2*c.n(len(every)/2)]}
	case 44:
		if c.bool() {
			return vipa.AdjacencyChanged{Up: c.bool(), HandOver: c.bool()}
		}
		return vipa.OutsideChanged{Up: c.bool()}
	case 45:
		return vipa.Isolated{OthersSee: c.bool()}
	case 46:
		return vipa.SettleExpired{DVIPA: c.dvipa()}
	case 47, 48:
		ev := vipa.Vary{Command: vipa.VaryCommand(c.n(8)), DVIPA: c.dvipa()}
		if c.bool() {
			ev.Port = c.port()
		}
		return ev
	case 49:
		return vipa.WeightsChanged{DVIPA: c.dvipa(), Port: []uint16{0, c.port()}[c.n(2)], Weights: map[netip.Addr]uint32{
			xcf(c.n(partners + 1)): uint32(c.n(4)), xcf(c.n(partners + 1)): uint32(c.n(4)),
		}}
	default:
		from := c.member()
		return vipa.MessageReceived{From: from, Message: c.message(from), Connections: c.connections()}
	}
}

func (c *choices) definition() vipa.Definition {
	var def vipa.Definition
	for _, address := range dvipas {
		switch c.n(4) {
		case 0, 1:
			bits := address.BitLen() - 8*c.n(2)
			def.Defines = append(def.Defines, vipa.Define{Prefix: netip.PrefixFrom(address, bits), ClusterPorts: c.bool()})
		case 2:
			def.Backups = append(def.Backups, vipa.Backup{DVIPA: address, Rank: uint8(1 + c.n(254))})
		default:
			continue
		}
		if dist := c.distribution(); dist != nil {
			def.Distributes = append(def.Distributes, vipa.Distribute{
				DVIPA: address, Distribution: *dist, ClusterPorts: c.bool(),
			})
		}
	}
	if c.bool() {
		def.Ranges = append(def.Ranges, vipa.Range{
			Prefix: netip.PrefixFrom(c.dvipa(), 24).Masked(), ClusterPorts: c.bool(), Distribute: c.bool(),
		})
	}
	return def
}

func (c *choices) distribution() *contract.Distribution {
	dist := &contract.Distribution{}
	switch c.n(4) {
	case 0:
		return nil
	case 1:
		dist.All = true
	default:
		for range 1 + c.n(4) {
			dist.Targets = append(dist.Targets, contract.Target{XCF: xcf(c.n(partners + 1)), Weight: uint32(c.n(3))})
		}
	}
	if c.bool() {
		dist.Ports = []contract.PortRange{{First: 60, Last: c.port()}}
	}
	return dist
}

// message is mostly to the point, as far as its sender and epoch go.
func (c *choices) message(from contract.Member) contract.Message {
	kind, address, sender := c.n(12), c.dvipa(), from.XCF
	epoch := c.epochs[address]
	switch c.n(8) {
	case 0:
		sender = xcf(c.n(partners + 1))
	case 1:
		epoch = uint64(c.n(4))
	}
	switch kind {
	case 0:
		var list contract.VIPAList
		for range c.n(5) {
			address := c.dvipa()
			list.DVIPAs = append(list.DVIPAs, contract.DVIPA{
				Prefix: netip.PrefixFrom(address, address.BitLen()), Role: contract.RolePrimary,
				Owner: c.n(4) > 0, Epoch: uint64(c.n(4)), Distribution: c.distribution(), ClusterPorts: c.bool(),
			})
		}
		return list
	case 1, 2, 3, 4, 5, 6:
		return contract.SRVSTAT{
			Service: netip.AddrPortFrom(address, c.port()), XCF: sender, Listening: c.n(3) > 0, Unique: c.n(4) == 0, Epoch: epoch,
		}
	case 7, 8:
		return contract.NEWCONN{DVIPA: address, XCF: sender, Connections: c.connectionsTo(address), Epoch: epoch}
	case 9:
		return contract.TERMCONN{DVIPA: address, XCF: sender, Connections: c.connectionsTo(address), Epoch: epoch}
	}
	return []contract.Message{
		contract.EndOfList{}, contract.NEWCONNAck{Acknowledge: uint64(c.n(8))}, contract.Unknown{},
	}[c.n(3)]
}

func (c *choices) connections() []contract.Connection {
	var some []contract.Connection
	for range c.n(3) {
		every := everyConnection()
		some = append(some, every[c.n(len(every))])
	}
	return some
}

func (c *choices) connectionsTo(dvipa netip.Addr) []contract.Connection {
	some := c.connections()
	for i := range some {
		if c.n(8) > 0 && some[i].Remote.Addr().Is4() == dvipa.Is4() {
			some[i].Local = netip.AddrPortFrom(dvipa, some[i].Local.Port())
		}
	}
	return some
}

// everyConnection is all connections that choices knows, a unique port after each.
func everyConnection() []contract.Connection {
	var every []contract.Connection
	for _, address := range dvipas {
		client := netip.AddrFrom4([4]byte{192, 0, 2, 1})
		if address.Is6() {
			client = netip.MustParseAddr("2001:db8:1::1")
		}
		for port := range uint16(4) {
			every = append(every,
				contract.Connection{Remote: netip.AddrPortFrom(client, 1000), Local: netip.AddrPortFrom(address, 60+port)},
				contract.Connection{Local: netip.AddrPortFrom(address, 60+port)})
		}
	}
	return every
}
