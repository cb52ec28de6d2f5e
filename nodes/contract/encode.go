package contract

import (
	"fmt"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// deterministic makes the same bytes of the same message in one version of the library; a
// receiver must not count on the order of fields.
var deterministic = proto.MarshalOptions{Deterministic: true}

// Envelope is the payload of every frame after the greetings.
type Envelope struct {
	// Sender and Incarnation are those of the sender's greeting.
	Sender      string
	Incarnation uint64
	Message     Message
}

// Confirm proves possession of the plex key for one connection; it is the first envelope
// in either direction and never comes again. Session deals with it.
type Confirm struct{}

// Kind returns "CONFIRM".
func (Confirm) Kind() string { return "CONFIRM" }

// Marshal makes the payload of a frame. It refuses with a FieldError what Unmarshal would
// refuse, and what has no form on the wire. An IPv4 address in IPv6 form becomes IPv4. An
// Unknown becomes an empty body of its field number, as a later version might send it.
func Marshal(e Envelope) ([]byte, error) {
	wire := &xcfpb.Envelope{Sender: e.Sender, Incarnation: e.Incarnation}
	if err := encodeBody(wire, e.Message); err != nil {
		return nil, err
	}
	if _, err := decodeEnvelope(wire); err != nil {
		return nil, err
	}
	payload, err := deterministic.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Message.Kind(), err)
	}
	return payload, nil
}

func encodeBody(wire *xcfpb.Envelope, message Message) error {
	switch m := message.(type) {
	case Confirm:
		wire.Body = &xcfpb.Envelope_Confirm{Confirm: &xcfpb.Confirm{}}
	case VIPAList:
		wire.Body = &xcfpb.Envelope_VipaList{VipaList: encodeVIPAList(m)}
	case EndOfList:
		wire.Body = &xcfpb.Envelope_EndOfList{EndOfList: &xcfpb.EndOfList{}}
	case SRVSTAT:
		wire.Body = &xcfpb.Envelope_Srvstat{Srvstat: &xcfpb.SrvStat{
			Dvipa: addressBytes(m.Service.Addr()), Port: uint32(m.Service.Port()), XcfAddress: addressBytes(m.XCF),
			Listening: m.Listening, Unique: m.Unique, Epoch: m.Epoch,
		}}
	case NEWCONN:
		connections, err := encodeConnections(m, m.DVIPA, m.Connections)
		if err != nil {
			return err
		}
		wire.Body = &xcfpb.Envelope_Newconn{Newconn: &xcfpb.NewConn{
			Dvipa: addressBytes(m.DVIPA), XcfAddress: addressBytes(m.XCF), Connections: connections,
			Epoch: m.Epoch, Acknowledge: m.Acknowledge,
		}}
	case NEWCONNAck:
		wire.Body = &xcfpb.Envelope_NewconnAck{NewconnAck: &xcfpb.NewConnAck{Acknowledge: m.Acknowledge}}
	case TERMCONN:
		connections, err := encodeConnections(m, m.DVIPA, m.Connections)
		if err != nil {
			return err
		}
		wire.Body = &xcfpb.Envelope_Termconn{Termconn: &xcfpb.TermConn{
			Dvipa: addressBytes(m.DVIPA), XcfAddress: addressBytes(m.XCF), Connections: connections, Epoch: m.Epoch,
		}}
	case PortClaim:
		wire.Body = &xcfpb.Envelope_PortClaim{PortClaim: &xcfpb.PortClaim{
			Id: m.ID, Dvipa: addressBytes(m.DVIPA), XcfAddress: addressBytes(m.XCF),
			Port: uint32(m.Port), Unique: m.Unique, Epoch: m.Epoch,
		}}
	case PortAnswer:
		wire.Body = &xcfpb.Envelope_PortAnswer{PortAnswer: &xcfpb.PortAnswer{
			Id: m.ID, Outcome: xcfpb.PortOutcome(m.Outcome), Port: uint32(m.Port), Holder: m.Holder,
		}}
	case PortRelease:
		wire.Body = &xcfpb.Envelope_PortRelease{PortRelease: &xcfpb.PortRelease{
			Dvipa: addressBytes(m.DVIPA), XcfAddress: addressBytes(m.XCF), Ports: encodePorts(m.Ports), Rest: m.Rest, Epoch: m.Epoch,
		}}
	case PortsHeld:
		wire.Body = &xcfpb.Envelope_PortsHeld{PortsHeld: &xcfpb.PortsHeld{
			Dvipa: addressBytes(m.DVIPA), XcfAddress: addressBytes(m.XCF),
			Shared: encodePorts(m.Shared), Unique: encodePorts(m.Unique), Resting: encodePorts(m.Resting), Epoch: m.Epoch,
		}}
	case Workload:
		wire.Body = &xcfpb.Envelope_Workload{Workload: &xcfpb.Workload{
			Capacity: m.Capacity, Load: m.Load, Connections: m.Connections,
		}}
	case Unknown:
		number := protowire.Number(m.Field)
		if !number.IsValid() || wire.ProtoReflect().Descriptor().Fields().ByNumber(number) != nil {
			return &FieldError{m.Kind(), "field", fmt.Sprintf("%d is not the number of a field that xcf.proto leaves free", m.Field)}
		}
		wire.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), nil))
	default:
		return fmt.Errorf("message of type %T has no form on the wire", message)
	}
	return nil
}

func encodeVIPAList(m VIPAList) *xcfpb.VipaList {
	wire := &xcfpb.VipaList{NoWayOut: m.NoWayOut}
	for _, v := range m.DVIPAs {
		entry := &xcfpb.Dvipa{
			Address: addressBytes(v.Prefix.Addr()), PrefixLength: uint32(max(v.Prefix.Bits(), 0)),
			Role: xcfpb.Role(v.Role), Rank: uint32(v.Rank), Owner: v.Owner, Epoch: v.Epoch, ClusterPorts: v.ClusterPorts,
		}
		if v.Distribution != nil {
			entry.Distribution = encodeDistribution(*v.Distribution)
		}
		wire.Dvipas = append(wire.Dvipas, entry)
	}
	for _, s := range m.SourceIPAs {
		wire.SourceIpas = append(wire.SourceIpas, &xcfpb.SourceIpa{Address: addressBytes(s.Address), Application: s.Application})
	}
	return wire
}

func encodeDistribution(v Distribution) *xcfpb.Distribution {
	wire := &xcfpb.Distribution{All: v.All}
	for _, r := range v.Ports {
		wire.Ports = append(wire.Ports, &xcfpb.PortRange{First: uint32(r.First), Last: uint32(r.Last)})
	}
	for _, t := range v.Targets {
		wire.Targets = append(wire.Targets, &xcfpb.Target{XcfAddress: addressBytes(t.XCF), Weight: t.Weight})
	}
	return wire
}

func encodeConnections(m Message, dvipa netip.Addr, connections []Connection) ([]*xcfpb.Connection, error) {
	wire := make([]*xcfpb.Connection, len(connections))
	all := make([]xcfpb.Connection, len(connections)) // in one piece, and the addresses in another
	addresses := make([]byte, 0, len(connections)*dvipa.BitLen()/8)
	for i, c := range connections {
		if c.Local.Addr().Unmap() != dvipa.Unmap() {
			return nil, &FieldError{m.Kind(), fmt.Sprintf("connections[%d]", i), fmt.Sprintf("local address %s, want the DVIPA %s", c.Local.Addr(), dvipa)}
		}
		begin := len(addresses)
		addresses = appendAddress(addresses, c.Remote.Addr())
		wire[i] = &all[i]
		wire[i].Remote, wire[i].RemotePort, wire[i].Port = addresses[begin:len(addresses):len(addresses)], uint32(c.Remote.Port()), uint32(c.Local.Port())
	}
	return wire, nil
}

func encodePorts(ports []uint16) []uint32 {
	wire := make([]uint32, len(ports))
	for i, p := range ports {
		wire[i] = uint32(p)
	}
	return wire
}

// addressBytes is 4 or 16 bytes in network order, or none for the zero Addr.
func addressBytes(a netip.Addr) []byte { return appendAddress(nil, a) }

func appendAddress(b []byte, a netip.Addr) []byte {
	switch a = a.Unmap(); {
	case a.Is4():
		four := a.As4()
		return append(b, four[:]...)
	case a.Is6():
		sixteen := a.As16()
		return append(b, sixteen[:]...)
	}
	return b
}
