package contract

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

var compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})}

var (
	dva1 = netip.MustParseAddr("44.0.0.10")
	xcf2 = netip.MustParseAddr("10.1.0.2")
	xcf4 = netip.MustParseAddr("10.1.0.4")
	dv6  = netip.MustParseAddr("2001:db8:44::10")
)

func connection(remote string, dvipa netip.Addr, port uint16) Connection {
	return Connection{Remote: netip.MustParseAddrPort(remote), Local: netip.AddrPortFrom(dvipa, port)}
}

// messages are one of each kind and family, every field in use.
func messages() map[string]Message {
	return map[string]Message{
		"empty list": VIPAList{},
		"list": VIPAList{
			DVIPAs: []DVIPA{
				{
					Prefix: netip.MustParsePrefix("44.0.0.10/24"), Role: RolePrimary, Owner: true, Epoch: 3, ClusterPorts: true,
					Distribution: &Distribution{
						Ports: []PortRange{{60, 60}, {4000, 4019}}, Targets: []Target{{XCF: xcf2}, {XCF: xcf4, Weight: 4}},
					},
				},
				{Prefix: netip.MustParsePrefix("2001:db8:44::10/64"), Role: RoleBackup, Rank: 254, Distribution: &Distribution{All: true}},
				{Prefix: netip.MustParsePrefix("44.0.1.1/32"), Role: RoleRange, Owner: true, Epoch: 1 << 63},
			},
			SourceIPAs: []SourceIPA{{Address: dva1, Application: "APPA"}, {Address: dv6, Application: "PAYROL*"}, {Address: dva1, Application: "*"}},
		},
		"end of list":       EndOfList{},
		"listening":         SRVSTAT{Service: netip.AddrPortFrom(dva1, 60), XCF: xcf2, Listening: true, Unique: true, Epoch: 1},
		"listening, IPv6":   SRVSTAT{Service: netip.AddrPortFrom(dv6, 65535), XCF: netip.MustParseAddr("fd00::2"), Epoch: 7},
		"connections":       NEWCONN{DVIPA: dva1, XCF: xcf2, Connections: []Connection{connection("9.9.9.9:1024", dva1, 60), connection("9.9.9.9:1025", dva1, 61)}, Epoch: 2, Acknowledge: 9},
		"acknowledge":       NEWCONNAck{Acknowledge: 9},
		"ended":             TERMCONN{DVIPA: dv6, XCF: xcf2, Connections: []Connection{connection("[2001:db8::1]:1", dv6, 60)}, Epoch: 2},
		"port claimed":      PortClaim{ID: 1<<64 - 1, DVIPA: dva1, XCF: xcf2, Port: 65535, Unique: true, Epoch: 3},
		"any port claimed":  PortClaim{ID: 1, DVIPA: dv6, XCF: netip.MustParseAddr("fd00::2"), Unique: true, Epoch: 3},
		"shared port":       PortClaim{ID: 2, DVIPA: dva1, XCF: xcf2, Port: 60, Epoch: 3},
		"port granted":      PortAnswer{ID: 1, Outcome: PortGranted, Port: 1024},
		"port in use":       PortAnswer{ID: 1, Outcome: PortInUse, Holder: "MVS4"},
		"no port left":      PortAnswer{ID: 1, Outcome: PortNoneLeft},
		"busy":              PortAnswer{ID: 1, Outcome: PortBusy},
		"busy, named":       PortAnswer{ID: 1, Outcome: PortBusy, Holder: "MVS4"},
		"ports released":    PortRelease{DVIPA: dva1, XCF: xcf2, Ports: []uint16{65535, 1, 1024}, Rest: true, Epoch: 3},
		"ports held":        PortsHeld{DVIPA: dv6, XCF: xcf2, Shared: []uint16{60}, Unique: []uint16{1024, 1025}, Epoch: 3},
		"resting ports":     PortsHeld{DVIPA: dva1, XCF: xcf2, Resting: []uint16{1024, 65535}, Epoch: 3},
		"unique ports held": PortsHeld{DVIPA: dva1, XCF: xcf2, Unique: []uint16{1024}, Epoch: 3},
		"workload":          Workload{Capacity: 2000, Load: 1999, Connections: 1 << 31},
		"idle":              Workload{Capacity: MaxCapacity},
		"of later version":  Unknown{Field: 99},
		"confirm":           Confirm{},
		"unique port":       NEWCONN{DVIPA: dva1, XCF: xcf2, Epoch: 2, Connections: []Connection{connection("0.0.0.0:0", dva1, 60)}},
		"unique port, IPv6": NEWCONN{DVIPA: dv6, XCF: xcf2, Epoch: 2, Connections: []Connection{connection("[::]:0", dv6, 60)}},
	}
}

func TestMessagesKeepTheirMeaningOnTheWire(t *testing.T) {
	t.Parallel()
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			want := Envelope{Sender: "MVS1", Incarnation: 5, Message: m}
			payload, err := Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Unmarshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compare); diff != "" {
				t.Errorf("message changed on its way (-sent +received):\n%s", diff)
			}
		})
	}
}

// An IPv6 socket reports IPv4 connections in IPv6 form; on the wire they are IPv4.
func TestMarshalTakesIPv4InIPv6Form(t *testing.T) {
	t.Parallel()
	mapped := netip.MustParseAddr("::ffff:44.0.0.10")
	payload, err := Marshal(Envelope{Sender: "MVS1", Incarnation: 5, Message: NEWCONN{
		DVIPA: dva1, XCF: xcf2, Epoch: 1, Connections: []Connection{connection("[::ffff:9.9.9.9]:1024", mapped, 60)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Connection{connection("9.9.9.9:1024", dva1, 60)}, got.Message.(NEWCONN).Connections, compare); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownBodyIsUnknown(t *testing.T) {
	t.Parallel()
	payload, err := proto.Marshal(&xcfpb.Envelope{Sender: "MVS1", Incarnation: 5})
	if err != nil {
		t.Fatal(err)
	}
	payload = append(payload, 0xb2, 0x06, 0x02, 0xff, 0xff) // field 102, two bytes of a message from the future
	got, err := Unmarshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Message(Unknown{Field: 102}), got.Message); diff != "" {
		t.Error(diff)
	}
}

func TestMarshalRefusesWhatHasNoForm(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Message{
		"connections[0]: local address 44.0.0.11, want the DVIPA 44.0.0.10": NEWCONN{
			DVIPA: dva1, XCF: xcf2, Epoch: 1, Connections: []Connection{connection("9.9.9.9:1024", netip.MustParseAddr("44.0.0.11"), 60)},
		},
		"SRVSTAT: xcf_address: 0 bytes, want 4 or 16":                                    SRVSTAT{Service: netip.AddrPortFrom(dva1, 60), Epoch: 1},
		"UNKNOWN: field: 16 is not the number of a field that xcf.proto leaves free":     Unknown{Field: 16},
		"UNKNOWN: field: 0 is not the number of a field that xcf.proto leaves free":      Unknown{},
		"message of type <nil> has no form on the wire":                                  nil,
		"NEWCONN: connections: 16385 entries, want 1 to 16384":                           NEWCONN{DVIPA: dva1, XCF: xcf2, Epoch: 1, Connections: manyConnections(MaxConnections + 1)},
		"VIPA_LIST: dvipas[0].prefix_length: 0, want 1 to 32":                            VIPAList{DVIPAs: []DVIPA{{Prefix: netip.PrefixFrom(dva1, -1), Role: RolePrimary}}},
		"VIPA_LIST: source_ipas[0].application: 9 characters, want 1 to 8":               VIPAList{SourceIPAs: []SourceIPA{{Address: dva1, Application: "PAYROLL12"}}},
		"VIPA_LIST: source_ipas[0].address: fe80::1 means something on one link only":    VIPAList{SourceIPAs: []SourceIPA{{Address: netip.MustParseAddr("fe80::1%xcf0"), Application: "A"}}},
		"VIPA_LIST: source_ipas[0].address: 224.0.0.1 is not the address of one host":    VIPAList{SourceIPAs: []SourceIPA{{Address: netip.MustParseAddr("224.0.0.1"), Application: "A"}}},
		"VIPA_LIST: source_ipas[0].application: \"A*B\" has a * that is not its last ch": VIPAList{SourceIPAs: []SourceIPA{{Address: dva1, Application: "A*B"}}},
		"VIPA_LIST: source_ipas[0].application: \"**\" has a * that is not its last cha": VIPAList{SourceIPAs: []SourceIPA{{Address: dva1, Application: "**"}}},
		"VIPA_LIST: source_ipas[0].application: \"A B\" has a character that is not pr":  VIPAList{SourceIPAs: []SourceIPA{{Address: dva1, Application: "A B"}}},
	} {
		_, err := Marshal(Envelope{Sender: "MVS1", Incarnation: 5, Message: m})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func manyConnections(n int) []Connection {
	connections := make([]Connection, n)
	for i := range connections {
		remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, byte(i >> 16), byte(i >> 8)}), uint16(i%256+1))
		connections[i] = Connection{Remote: remote, Local: netip.AddrPortFrom(dva1, 60)}
	}
	return connections
}

// Every rule of the schema that a partner may break, by the field that the error names.
func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	four, two, sixteen := dva1.AsSlice(), xcf2.AsSlice(), dv6.AsSlice()
	list := func(change func(*xcfpb.Dvipa)) *xcfpb.Envelope {
		entry := &xcfpb.Dvipa{Address: four, PrefixLength: 24, Role: xcfpb.Role_ROLE_PRIMARY}
		change(entry)
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_VipaList{VipaList: &xcfpb.VipaList{Dvipas: []*xcfpb.Dvipa{entry}}}}
	}
	distribution := func(v *xcfpb.Distribution) *xcfpb.Envelope {
		return list(func(entry *xcfpb.Dvipa) { entry.Distribution = v })
	}
	srvstat := func(change func(*xcfpb.SrvStat)) *xcfpb.Envelope {
		m := &xcfpb.SrvStat{Dvipa: four, Port: 60, XcfAddress: two, Epoch: 1}
		change(m)
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_Srvstat{Srvstat: m}}
	}
	newconn := func(change func(*xcfpb.NewConn)) *xcfpb.Envelope {
		m := &xcfpb.NewConn{Dvipa: four, XcfAddress: two, Epoch: 1, Connections: []*xcfpb.Connection{{Remote: two, RemotePort: 1024, Port: 60}}}
		change(m)
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_Newconn{Newconn: m}}
	}
	target := &xcfpb.Target{XcfAddress: two}
	for _, test := range []struct {
		want string
		wire *xcfpb.Envelope
	}{
		{"envelope: body: none", &xcfpb.Envelope{}},
		{"VIPA_LIST: dvipas[0].address: 5 bytes, want 4 or 16", list(func(v *xcfpb.Dvipa) { v.Address = append(four, 1) })},
		{"VIPA_LIST: dvipas[0].address: ::ffff:44.0.0.10 is an IPv4 address in 16 bytes, want 4", list(func(v *xcfpb.Dvipa) { a := dva1.As16(); v.Address = a[:] })},
		{"VIPA_LIST: dvipas[0].address: 0.0.0.0 is not the address of one host", list(func(v *xcfpb.Dvipa) { v.Address = make([]byte, 4) })},
		{"VIPA_LIST: dvipas[0].prefix_length: 33, want 1 to 32", list(func(v *xcfpb.Dvipa) { v.PrefixLength = 33 })},
		{"VIPA_LIST: dvipas[0].prefix_length: 129, want 1 to 128", list(func(v *xcfpb.Dvipa) { v.Address, v.PrefixLength = sixteen, 129 })},
		{"VIPA_LIST: dvipas[0].role: 0, want 1 (primary), 2 (backup) or 3 (range)", list(func(v *xcfpb.Dvipa) { v.Role = 0 })},
		{"VIPA_LIST: dvipas[0].role: 257, want", list(func(v *xcfpb.Dvipa) { v.Role = 257 })},
		{"VIPA_LIST: dvipas[0].rank: 0, want 1 to 254 with ROLE_BACKUP", list(func(v *xcfpb.Dvipa) { v.Role = xcfpb.Role_ROLE_BACKUP })},
		{"VIPA_LIST: dvipas[0].rank: 257, want 1 to 254 with ROLE_BACKUP", list(func(v *xcfpb.Dvipa) { v.Role, v.Rank = xcfpb.Role_ROLE_BACKUP, 257 })},
		{"VIPA_LIST: dvipas[0].rank: 1, want 0 with ROLE_PRIMARY", list(func(v *xcfpb.Dvipa) { v.Rank = 1 })},
		{"VIPA_LIST: dvipas[0].epoch: 0, want 1 or more", list(func(v *xcfpb.Dvipa) { v.Owner = true })},
		{"VIPA_LIST: dvipas[0].epoch: 4, want 0 where owner is false", list(func(v *xcfpb.Dvipa) { v.Epoch = 4 })},
		{"VIPA_LIST: dvipas[1].address: 44.0.0.10 is in dvipas[0] already", &xcfpb.Envelope{Body: &xcfpb.Envelope_VipaList{VipaList: &xcfpb.VipaList{Dvipas: []*xcfpb.Dvipa{
			{Address: four, PrefixLength: 24, Role: xcfpb.Role_ROLE_PRIMARY}, {Address: four, PrefixLength: 32, Role: xcfpb.Role_ROLE_RANGE},
		}}}}},
		{"VIPA_LIST: dvipas: 1025 entries, want 0 to 1024", &xcfpb.Envelope{Body: &xcfpb.Envelope_VipaList{VipaList: &xcfpb.VipaList{Dvipas: make([]*xcfpb.Dvipa, MaxDVIPAs+1)}}}},
		{"dvipas[0].distribution.targets: 0 entries, want 1 to 128", distribution(&xcfpb.Distribution{})},
		{"dvipas[0].distribution.targets: 1 entries, want 0 to 0", distribution(&xcfpb.Distribution{All: true, Targets: []*xcfpb.Target{target}})},
		{"dvipas[0].distribution.targets[1].xcf_address: 10.1.0.2 is in targets[0] already", distribution(&xcfpb.Distribution{Targets: []*xcfpb.Target{target, target}})},
		{"dvipas[0].distribution.targets[0].weight: 65536, want 0 to 65535", distribution(&xcfpb.Distribution{Targets: []*xcfpb.Target{{XcfAddress: two, Weight: 65536}}})},
		{"dvipas[0].distribution.ports: 65 entries, want 0 to 64", distribution(&xcfpb.Distribution{All: true, Ports: make([]*xcfpb.PortRange, MaxPortRanges+1)})},
		{"dvipas[0].distribution.ports[0].last: 59, want 60 (first) or more", distribution(&xcfpb.Distribution{All: true, Ports: []*xcfpb.PortRange{{First: 60, Last: 59}}})},
		{"dvipas[0].distribution.ports[0].first: 0, want 1 to 65535", distribution(&xcfpb.Distribution{All: true, Ports: []*xcfpb.PortRange{{Last: 59}}})},
		{"SRVSTAT: port: 65536, want 1 to 65535", srvstat(func(m *xcfpb.SrvStat) { m.Port = 65536 })},
		{"SRVSTAT: epoch: 0, want 1 or more", srvstat(func(m *xcfpb.SrvStat) { m.Epoch = 0 })},
		{"SRVSTAT: xcf_address: fe80::1 means something on one link only", srvstat(func(m *xcfpb.SrvStat) { m.XcfAddress = netip.MustParseAddr("fe80::1").AsSlice() })},
		{"NEWCONN: connections: 0 entries, want 1 to 16384", newconn(func(m *xcfpb.NewConn) { m.Connections = nil })},
		{"NEWCONN: connections[0].remote: 2001:db8:44::10 is not of the family of the DVIPA 44.0.0.10", newconn(func(m *xcfpb.NewConn) { m.Connections[0].Remote = sixteen })},
		{"NEWCONN: connections[0].remote_port: 70000, want 1 to 65535", newconn(func(m *xcfpb.NewConn) { m.Connections[0].RemotePort = 70000 })},
		{"NEWCONN: connections[0].remote: 0.0.0.0 is not the address of one host", newconn(func(m *xcfpb.NewConn) { m.Connections[0].Remote = make([]byte, 4) })},
		{"NEWCONN: connections[0].remote_port: 0, want 1 to 65535", newconn(func(m *xcfpb.NewConn) { m.Connections[0].RemotePort = 0 })},
		{"NEWCONN: connections[0].remote: 0.0.0.0 is not of the family of the DVIPA 2001:db8:44::10", newconn(func(m *xcfpb.NewConn) {
			m.Dvipa, m.Connections[0].Remote, m.Connections[0].RemotePort = sixteen, make([]byte, 4), 0
		})},
		{"NEWCONN: dvipa: 0 bytes, want 4 or 16", newconn(func(m *xcfpb.NewConn) { m.Dvipa = nil })},
		{"NEWCONN_ACK: acknowledge: 0, want 1 or more", &xcfpb.Envelope{Body: &xcfpb.Envelope_NewconnAck{NewconnAck: &xcfpb.NewConnAck{}}}},
		{"TERMCONN: connections: 0 entries, want 1 to 16384", &xcfpb.Envelope{Body: &xcfpb.Envelope_Termconn{Termconn: &xcfpb.TermConn{Dvipa: four, XcfAddress: two, Epoch: 1}}}},
		{"envelope: sender: 33 characters, want 1 to 32", &xcfpb.Envelope{Sender: strings.Repeat("A", 33), Body: &xcfpb.Envelope_EndOfList{EndOfList: &xcfpb.EndOfList{}}}},
	} {
		wantRefused(t, test.wire, test.want)
	}
}

// wantRefused sends what no stack of ours would and looks for the words of the refusal.
func wantRefused(t *testing.T, wire *xcfpb.Envelope, want string) {
	t.Helper()
	if wire.Sender == "" {
		wire.Sender = "MVS1"
	}
	wire.Incarnation = 1
	payload, err := proto.Marshal(wire)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Unmarshal(payload)
	var field *FieldError
	if !errors.As(err, &field) || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestUnmarshalRefusesBytesThatAreNoMessage(t *testing.T) {
	t.Parallel()
	head := "\x0a\x04MVS1\x11\x01\x00\x00\x00\x00\x00\x00\x00"
	for payload, want := range map[string]string{
		"\x0a\xff":        "envelope: not a protobuf message",
		head + "\x78\x01": "envelope: body: field 15 is not of its type", // a number in place of Confirm
	} {
		if _, err := Unmarshal([]byte(payload)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// The longest NEWCONN of IPv6 connections and the longest PORTS_HELD fit into a frame.
func TestTheLongestMessagesFitIntoAFrame(t *testing.T) {
	t.Parallel()
	connections := NEWCONN{DVIPA: dv6, XCF: dv6, Epoch: 1<<64 - 1, Acknowledge: 1<<64 - 1}
	for range MaxConnections {
		connections.Connections = append(connections.Connections, connection("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535", dv6, 65535))
	}
	ports := PortsHeld{DVIPA: dv6, XCF: dv6, Epoch: 1<<64 - 1}
	for i := range MaxPorts {
		ports.Unique = append(ports.Unique, uint16(65535-i))
	}
	for _, m := range []Message{connections, ports} {
		payload, err := Marshal(Envelope{Sender: strings.Repeat("A", MaxName), Incarnation: 1, Message: m})
		if err != nil {
			t.Fatal(err)
		}
		if len(payload)+MACSize > MaxFrame {
			t.Errorf("%s: %d bytes, a frame has %d", m.Kind(), len(payload)+MACSize, MaxFrame)
		}
	}
}
