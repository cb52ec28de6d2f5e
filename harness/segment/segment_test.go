package segment

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	client4 = netip.MustParseAddrPort("192.0.2.1:1024")
	server4 = netip.MustParseAddrPort("192.0.2.9:80")
	client6 = netip.MustParseAddrPort("[2001:db8::1]:1024")
	server6 = netip.MustParseAddrPort("[2001:db8::9]:80")
	macA    = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	macB    = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

func TestSegmentsSurviveTheWire(t *testing.T) {
	for _, want := range []Segment{
		NewSYN(client4, server4),
		NewSYN(client6, server6),
		NewSYN(client4, server4).Answer(SYN, 7000),
		NewACK(client4, server4, 1001, 7001),
		NewData(client6, server6, 1001, 7001, []byte("GET /")),
		NewFIN(client4, server4, 1006, 7001),
		NewRST(client4, server4, 1006),
		{Src: client4, Dst: server4, Flags: URG, TTL: 3, ID: 77, DontFragment: true, MSS: 536},
	} {
		t.Run(want.String(), func(t *testing.T) {
			got := Decode(frame(t, packet(t, want)))
			if want.TTL == 0 {
				want.TTL = DefaultTTL
			}
			if got.Kind != TCP {
				t.Fatalf("kind %d", got.Kind)
			}
			if diff := cmp.Diff(want, got.Segment, cmp.Comparer(sameAddrPort), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.SrcMAC.String() != macA.String() || got.DstMAC.String() != macB.String() {
				t.Errorf("frame from %s to %s", got.SrcMAC, got.DstMAC)
			}
		})
	}
}

func TestChecksumsAreRight(t *testing.T) {
	b := packet(t, NewData(client4, server4, 1, 2, []byte("odd")))
	if sum(b[:20], 0) != 0xffff {
		t.Error("IPv4 header")
	}
	pseudo := sum(b[12:20], 6+uint32(len(b)-20))
	if sum(b[20:], uint32(pseudo)) != 0xffff {
		t.Error("TCP")
	}
}

func TestSegmentsThatCannotBe(t *testing.T) {
	for name, s := range map[string]Segment{
		"two families":    {Src: client4, Dst: server6},
		"no address":      {},
		"too big":         NewData(client4, server4, 0, 0, make([]byte, 1<<16)),
		"one end missing": {Src: client4},
	} {
		if _, err := s.Packet(); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	if _, err := Frame(macA, macB, nil); err == nil {
		t.Error("empty packet: want an error")
	}
}

func TestNextCountsSYNAndFIN(t *testing.T) {
	for _, test := range []struct {
		s    Segment
		want uint32
	}{
		{Segment{Seq: 10}, 10},
		{Segment{Seq: 10, Flags: SYN}, 11},
		{Segment{Seq: 10, Flags: FIN, Payload: []byte("ab")}, 13},
		{Segment{Seq: 1<<32 - 1, Payload: []byte("ab")}, 1},
	} {
		if got := test.s.Next(); got != test.want {
			t.Errorf("%s: want %d, got %d", test.s, test.want, got)
		}
	}
}

func TestFragmentsOfIPv6CarryThePacket(t *testing.T) {
	whole := packet(t, NewData(client6, server6, 1, 2, []byte(strings.Repeat("x", 50))))
	parts, err := Fragments(whole, 32)
	if err != nil {
		t.Fatal(err)
	}
	const header = 40
	var joined []byte
	for i, part := range parts {
		d := Decode(frame(t, part))
		if d.Kind != Fragment || d.Offset != i*32 || d.More != (i < len(parts)-1) || d.SrcIP != client6.Addr() {
			t.Errorf("fragment %d: %+v", i, d)
		}
		if next, of := part[header], part[header+4:header+8]; next != whole[6] || string(of) != string(parts[0][header+4:header+8]) {
			t.Errorf("fragment %d: next header %d, identification %x", i, next, of)
		}
		joined = append(joined, part[header+fragmentHeader:]...)
	}
	if len(parts) != 3 || string(joined) != string(whole[header:]) {
		t.Errorf("%d fragments, %d of %d bytes", len(parts), len(joined), len(whole)-header)
	}
}

func TestFragmentsCarryThePacket(t *testing.T) {
	whole := packet(t, NewData(client4, server4, 1, 2, []byte(strings.Repeat("x", 50))))
	parts, err := Fragments(whole, 32)
	if err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for i, part := range parts {
		d := Decode(frame(t, part))
		if d.Kind != Fragment || d.Offset != i*32 || d.More != (i < len(parts)-1) || d.SrcIP != client4.Addr() {
			t.Errorf("fragment %d: %+v", i, d)
		}
		if sum(part[:20], 0) != 0xffff {
			t.Errorf("fragment %d: header checksum", i)
		}
		joined = append(joined, part[20:]...)
	}
	if len(parts) != 3 || string(joined) != string(whole[20:]) {
		t.Errorf("%d fragments, %d of %d bytes", len(parts), len(joined), len(whole)-20)
	}
}

func TestFragmentsThatCannotBe(t *testing.T) {
	stubborn := NewSYN(client4, server4)
	stubborn.DontFragment = true
	for name, test := range map[string]struct {
		packet []byte
		size   int
	}{
		"size of no multiple": {packet(t, NewSYN(client4, server4)), 12},
		"don't fragment":      {packet(t, stubborn), 8},
		"a fragment of IPv6":  {fragmentOf(t, packet(t, NewSYN(client6, server6))), 8},
		"truncated":           {[]byte{0x45, 0}, 8},
	} {
		if parts, err := Fragments(test.packet, test.size); err == nil {
			t.Errorf("%s: want an error, got %d fragments", name, len(parts))
		}
	}
}

func fragmentOf(t *testing.T, packet []byte) []byte {
	t.Helper()
	parts, err := Fragments(packet, 8)
	if err != nil {
		t.Fatal(err)
	}
	return parts[0]
}

func TestICMPErrorsNameTheInnerConnection(t *testing.T) {
	for _, test := range []struct {
		about    Segment
		reporter string
		kind     uint8
		code     uint8
	}{
		{NewData(server4, client4, 5, 6, []byte("page")), "198.51.100.1", 3, 4},
		{NewData(server6, client6, 5, 6, []byte("page")), "2001:db8::99", 2, 0},
	} {
		b, err := test.about.TooBig(netip.MustParseAddr(test.reporter), 1400)
		if err != nil {
			t.Fatal(err)
		}
		d := Decode(frame(t, b))
		want := Error{Type: test.kind, Code: test.code, MTU: 1400, Src: test.about.Src, Dst: test.about.Dst}
		if d.Kind != ICMPError || d.Error != want || d.DstIP != test.about.Src.Addr() {
			t.Errorf("want %+v, got %s", want, d)
		}
	}
	if _, err := NewSYN(client4, server4).TooBig(client6.Addr(), 1400); err == nil {
		t.Error("reporter of another family: want an error")
	}
}

func TestARP(t *testing.T) {
	request := ARP{SenderMAC: macA, SenderIP: client4.Addr(), TargetIP: server4.Addr()}
	reply := ARP{Reply: true, SenderMAC: macB, SenderIP: server4.Addr(), TargetMAC: macA, TargetIP: client4.Addr()}
	for _, want := range []ARP{request, reply} {
		b, err := want.Frame()
		if err != nil {
			t.Fatal(err)
		}
		d := Decode(b)
		if d.Kind != ARPKind || d.ARP.String() != want.String() || d.ARP.TargetIP != want.TargetIP {
			t.Errorf("want %s, got %s", want, d)
		}
	}
	if _, err := (ARP{SenderMAC: macA, SenderIP: client6.Addr(), TargetIP: server6.Addr()}).Frame(); err == nil {
		t.Error("IPv6: want an error")
	}
}

func TestPattern(t *testing.T) {
	syn := Decoded{Kind: TCP, Segment: NewSYN(client4, server4)}
	data := Decoded{Kind: TCP, Segment: NewData(client4, server4, 1, 2, []byte("GET /"))}
	anyPort80 := netip.AddrPortFrom(netip.Addr{}, 80)
	for _, test := range []struct {
		pattern Pattern
		d       Decoded
		want    bool
	}{
		{Pattern{}, syn, true},
		{Pattern{}, Decoded{Kind: ARPKind}, false},
		{Connect(client4, server4), syn, true},
		{Connect(client4, server4), data, false},
		{Connect(server4, client4), syn, false},
		{Pattern{Dst: anyPort80}, syn, true},
		{Pattern{Src: anyPort80}, syn, false},
		{Pattern{Dst: netip.AddrPortFrom(server4.Addr(), 0)}, syn, true},
		{Pattern{Payload: []byte("GET")}, data, true},
		{Pattern{Payload: []byte("PUT")}, data, false},
		{Pattern{Has: ACK | RST}, data, false},
	} {
		if got := test.pattern.Match(test.d); got != test.want {
			t.Errorf("%s on %s: want %t, got %t", test.pattern, test.d, test.want, got)
		}
	}
	p := Pattern{Dst: server4, Has: SYN, Lacks: ACK, Payload: []byte("x")}
	if want := `any > 192.0.2.9:80 with SYN without ACK holding "x"`; p.String() != want {
		t.Errorf("want %s, got %s", want, p)
	}
}

// FuzzDecode: nothing that arrives ends the kit.
func FuzzDecode(f *testing.F) {
	for _, s := range []Segment{NewSYN(client4, server4), NewData(client6, server6, 1, 2, []byte("x"))} {
		b, _ := s.Packet()
		whole, _ := Frame(macA, macB, b)
		f.Add(whole)
		tooBig, _ := s.TooBig(s.Dst.Addr(), 1400)
		whole, _ = Frame(macA, macB, tooBig)
		f.Add(whole)
		f.Add(whole[:len(whole)-5])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d := Decode(b); d.String() == "" {
			t.Error("want a line about every frame")
		}
	})
}

func packet(t *testing.T, s Segment) []byte {
	t.Helper()
	b, err := s.Packet()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func frame(t *testing.T, packet []byte) []byte {
	t.Helper()
	b, err := Frame(macA, macB, packet)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sum is the checksum of the Internet without the final complement (RFC 1071).
func sum(b []byte, sum uint32) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func sameAddrPort(a, b netip.AddrPort) bool { return a == b }
