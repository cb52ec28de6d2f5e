package contract

import (
	"fmt"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// Unmarshal reads the payload of a frame. A body of an unknown kind becomes Unknown (I11);
// unknown fields elsewhere are passed over. Anything else that is not as the contract wants
// it is a FieldError, and nothing of the message is returned.
func Unmarshal(payload []byte) (Envelope, error) {
	wire := new(xcfpb.Envelope)
	if err := proto.Unmarshal(payload, wire); err != nil {
		return Envelope{}, fmt.Errorf("envelope: not a protobuf message: %w", err)
	}
	return decodeEnvelope(wire)
}

func decodeEnvelope(wire *xcfpb.Envelope) (Envelope, error) {
	d := decoder{message: "envelope"}
	e := Envelope{
		Sender:      d.name("sender", wire.GetSender(), MaxName),
		Incarnation: d.nonzero("incarnation", wire.GetIncarnation()),
	}
	e.Message = d.body(wire)
	if err := d.error(); err != nil {
		return Envelope{}, err
	}
	return e, nil
}

func (d *decoder) body(wire *xcfpb.Envelope) Message {
	switch body := wire.GetBody().(type) {
	case *xcfpb.Envelope_Confirm:
		return Confirm{}
	case *xcfpb.Envelope_VipaList:
		d.message = VIPAList{}.Kind()
		return d.vipaList(body.VipaList)
	case *xcfpb.Envelope_EndOfList:
		return EndOfList{}
	case *xcfpb.Envelope_Srvstat:
		d.message = SRVSTAT{}.Kind()
		return d.srvstat(body.Srvstat)
	case *xcfpb.Envelope_Newconn:
		d.message = NEWCONN{}.Kind()
		m := body.Newconn
		dvipa := d.own("dvipa", m.GetDvipa())
		return NEWCONN{
			DVIPA: dvipa, XCF: d.own("xcf_address", m.GetXcfAddress()),
			Connections: d.connections(dvipa, m.GetConnections()),
			Epoch:       d.nonzero("epoch", m.GetEpoch()), Acknowledge: m.GetAcknowledge(),
		}
	case *xcfpb.Envelope_NewconnAck:
		d.message = NEWCONNAck{}.Kind()
		return NEWCONNAck{Acknowledge: d.nonzero("acknowledge", body.NewconnAck.GetAcknowledge())}
	case *xcfpb.Envelope_Termconn:
		d.message = TERMCONN{}.Kind()
		m := body.Termconn
		dvipa := d.own("dvipa", m.GetDvipa())
		return TERMCONN{
			DVIPA: dvipa, XCF: d.own("xcf_address", m.GetXcfAddress()),
			Connections: d.connections(dvipa, m.GetConnections()), Epoch: d.nonzero("epoch", m.GetEpoch()),
		}
	case *xcfpb.Envelope_PortClaim:
		d.message = PortClaim{}.Kind()
		return d.portClaim(body.PortClaim)
	case *xcfpb.Envelope_PortAnswer:
		d.message = PortAnswer{}.Kind()
		return d.portAnswer(body.PortAnswer)
	case *xcfpb.Envelope_PortRelease:
		d.message = PortRelease{}.Kind()
		return d.portRelease(body.PortRelease)
	case *xcfpb.Envelope_PortsHeld:
		d.message = PortsHeld{}.Kind()
		return d.portsHeld(body.PortsHeld)
	case *xcfpb.Envelope_Workload:
		d.message = Workload{}.Kind()
		return d.workload(body.Workload)
	}
	number, _, n := protowire.ConsumeTag(wire.ProtoReflect().GetUnknown())
	switch {
	case n < 0:
		d.fail("body", "none")
	case wire.ProtoReflect().Descriptor().Fields().ByNumber(number) != nil:
		d.fail("body", "field %d is not of its type", number)
	}
	return Unknown{Field: uint32(number)}
}

func (d *decoder) vipaList(wire *xcfpb.VipaList) VIPAList {
	list := VIPAList{NoWayOut: wire.GetNoWayOut()}
	if !d.count("dvipas", len(wire.GetDvipas()), 0, MaxDVIPAs) || !d.count("source_ipas", len(wire.GetSourceIpas()), 0, MaxDVIPAs) {
		return list
	}
	first := make(map[netip.Addr]int, len(wire.GetDvipas()))
	for i, entry := range wire.GetDvipas() {
		d.enter("dvipas", i)
		v := d.dvipa(entry)
		if before, twice := first[v.Prefix.Addr()]; twice {
			d.fail("address", "%s is in dvipas[%d] already", v.Prefix.Addr(), before)
		}
		first[v.Prefix.Addr()] = i
		list.DVIPAs = append(list.DVIPAs, v)
		d.leave()
	}
	for i, s := range wire.GetSourceIpas() {
		d.enter("source_ipas", i)
		list.SourceIPAs = append(list.SourceIPAs, SourceIPA{
			Address: d.own("address", s.GetAddress()), Application: d.pattern("application", s.GetApplication()),
		})
		d.leave()
	}
	return list
}

func (d *decoder) dvipa(wire *xcfpb.Dvipa) DVIPA {
	address := d.own("address", wire.GetAddress())
	if length := wire.GetPrefixLength(); length < 1 || length > uint32(address.BitLen()) {
		d.fail("prefix_length", "%d, want 1 to %d", length, address.BitLen())
	}
	v := DVIPA{
		Prefix: netip.PrefixFrom(address, int(wire.GetPrefixLength())),
		Role:   Role(wire.GetRole()), Rank: uint8(wire.GetRank()), Owner: wire.GetOwner(), Epoch: wire.GetEpoch(),
		ClusterPorts: wire.GetClusterPorts(),
	}
	switch rank := wire.GetRank(); wire.GetRole() {
	case xcfpb.Role_ROLE_BACKUP:
		if rank < 1 || rank > 254 {
			d.fail("rank", "%d, want 1 to 254 with ROLE_BACKUP", rank)
		}
	case xcfpb.Role_ROLE_PRIMARY, xcfpb.Role_ROLE_RANGE:
		if rank != 0 {
			d.fail("rank", "%d, want 0 with %s", rank, wire.GetRole())
		}
	default:
		d.fail("role", "%d, want 1 (primary), 2 (backup) or 3 (range)", wire.GetRole())
	}
	switch {
	case v.Owner:
		d.nonzero("epoch", v.Epoch)
	case v.Epoch != 0:
		d.fail("epoch", "%d, want 0 where owner is false", v.Epoch)
	}
	if wire.GetDistribution() != nil {
		d.enter("distribution", -1)
		v.Distribution = d.distribution(wire.GetDistribution())
		d.leave()
	}
	return v
}

func (d *decoder) distribution(wire *xcfpb.Distribution) *Distribution {
	v := &Distribution{All: wire.GetAll()}
	least, most := 1, MaxMembers
	if v.All {
		least, most = 0, 0 // DESTIP names stacks or ALL, not both
	}
	if !d.count("ports", len(wire.GetPorts()), 0, MaxPortRanges) || !d.count("targets", len(wire.GetTargets()), least, most) {
		return v
	}
	for i, r := range wire.GetPorts() {
		d.enter("ports", i)
		ports := PortRange{First: d.port("first", r.GetFirst()), Last: d.port("last", r.GetLast())}
		if ports.First > ports.Last {
			d.fail("last", "%d, want %d (first) or more", ports.Last, ports.First)
		}
		v.Ports = append(v.Ports, ports)
		d.leave()
	}
	first := make(map[netip.Addr]int, len(wire.GetTargets()))
	for i, t := range wire.GetTargets() {
		d.enter("targets", i)
		target := Target{XCF: d.own("xcf_address", t.GetXcfAddress()), Weight: t.GetWeight()}
		if before, twice := first[target.XCF]; twice {
			d.fail("xcf_address", "%s is in targets[%d] already", target.XCF, before)
		}
		first[target.XCF] = i
		if target.Weight > MaxWeight {
			d.fail("weight", "%d, want 0 to %d", target.Weight, MaxWeight)
		}
		v.Targets = append(v.Targets, target)
		d.leave()
	}
	return v
}

func (d *decoder) srvstat(wire *xcfpb.SrvStat) SRVSTAT {
	return SRVSTAT{
		Service: netip.AddrPortFrom(d.own("dvipa", wire.GetDvipa()), d.port("port", wire.GetPort())),
		XCF:     d.own("xcf_address", wire.GetXcfAddress()), Listening: wire.GetListening(), Unique: wire.GetUnique(),
		Epoch: d.nonzero("epoch", wire.GetEpoch()),
	}
}

func (d *decoder) connections(dvipa netip.Addr, wire []*xcfpb.Connection) []Connection {
	if !d.count("connections", len(wire), 1, MaxConnections) {
		return nil
	}
	connections := make([]Connection, len(wire))
	for i, c := range wire {
		d.enter("connections", i)
		connections[i] = Connection{Remote: d.remote(c), Local: netip.AddrPortFrom(dvipa, d.port("port", c.GetPort()))}
		if remote := connections[i].Remote.Addr(); remote.Is4() != dvipa.Is4() {
			d.fail("remote", "%s is not of the family of the DVIPA %s", remote, dvipa)
		}
		d.leave()
	}
	return connections
}

// remote reads the remote end of a connection. Address and port zero stand for every remote
// end: so a unique port may be announced (T38).
func (d *decoder) remote(wire *xcfpb.Connection) netip.AddrPort {
	if all, ok := netip.AddrFromSlice(wire.GetRemote()); ok && all.IsUnspecified() && wire.GetRemotePort() == 0 {
		return netip.AddrPortFrom(all, 0)
	}
	return netip.AddrPortFrom(d.address("remote", wire.GetRemote()), d.port("remote_port", wire.GetRemotePort()))
}

func (d *decoder) workload(wire *xcfpb.Workload) Workload {
	m := Workload{Capacity: wire.GetCapacity(), Load: wire.GetLoad(), Connections: wire.GetConnections()}
	switch {
	case m.Capacity < 1 || m.Capacity > MaxCapacity:
		d.fail("capacity", "%d, want 1 to %d", m.Capacity, MaxCapacity)
	case m.Load > m.Capacity:
		d.fail("load", "%d, want 0 to %d (capacity)", m.Load, m.Capacity)
	}
	return m
}
