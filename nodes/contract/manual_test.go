package contract

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

var update = flag.Bool("update", false, "write the bytes of the examples into README.md")

// examples are the worked bytes of the manual, by the name in the head of their block.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	var key Key
	var one, two Greeting
	for i := range KeySize {
		key[i] = byte(i)
		one.Nonce[i], two.Nonce[i] = 0x11, 0x22
	}
	one.Identity = Identity{Plex: "PLEX1", Member: Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1000, Outside: true}}
	two.Identity = Identity{Plex: "PLEX1", Member: Member{Stack: "MVS2", XCF: netip.MustParseAddr("10.1.0.2"), Incarnation: 2000}}
	found := make(map[string][]byte)
	keep := func(name string, b []byte, err error) {
		if err != nil {
			t.Fatalf("example %s: %v", name, err)
		}
		found[name] = b
	}
	hello, err := SealHello(key, Hello{Plex: "PLEX1", Stack: "MVS1", XCF: one.XCF, Incarnation: 1000, TCPPort: 40001, Sequence: 1})
	keep("hello", hello, err)
	greeting, err := SealGreeting(key, one)
	keep("greeting", greeting, err)
	sealer := Sealer{Key: key, Sender: one.Nonce, Receiver: two.Nonce}
	for _, next := range []struct {
		name    string
		message Message
	}{
		{"confirm", Confirm{}},
		{"vipa-list", VIPAList{
			DVIPAs: []DVIPA{{
				Prefix: netip.MustParsePrefix("44.0.0.10/24"), Role: RolePrimary, Owner: true, Epoch: 1,
				Distribution: &Distribution{Ports: []PortRange{{60, 60}}, Targets: []Target{{XCF: one.XCF}, {XCF: two.XCF, Weight: 2}}},
			}},
			SourceIPAs: []SourceIPA{{Address: netip.MustParseAddr("44.0.0.10"), Application: "APPA"}},
		}},
		{"end-of-list", EndOfList{}},
		{"srvstat", SRVSTAT{Service: netip.MustParseAddrPort("44.0.0.10:60"), XCF: one.XCF, Listening: true, Epoch: 1}},
		{"newconn", NEWCONN{
			DVIPA: netip.MustParseAddr("44.0.0.10"), XCF: one.XCF, Epoch: 1, Acknowledge: 7,
			Connections: []Connection{{Remote: netip.MustParseAddrPort("9.9.9.9:40000"), Local: netip.MustParseAddrPort("44.0.0.10:60")}},
		}},
		{"port-claim", PortClaim{ID: 1, DVIPA: netip.MustParseAddr("44.0.0.10"), XCF: one.XCF, Unique: true, Epoch: 1}},
		{"port-answer", PortAnswer{ID: 1, Outcome: PortGranted, Port: 1024}},
		{"port-release", PortRelease{DVIPA: netip.MustParseAddr("44.0.0.10"), XCF: one.XCF, Ports: []uint16{1024, 1025}, Rest: true, Epoch: 1}},
		{"ports-held", PortsHeld{DVIPA: netip.MustParseAddr("44.0.0.10"), XCF: one.XCF, Shared: []uint16{60}, Unique: []uint16{1024, 1025}, Resting: []uint16{1026}, Epoch: 1}},
		{"workload", Workload{Capacity: 2000, Load: 350, Connections: 12}},
		{"newconn-ack", NEWCONNAck{Acknowledge: 7}},
		{"termconn", TERMCONN{
			DVIPA: netip.MustParseAddr("44.0.0.10"), XCF: one.XCF, Epoch: 1,
			Connections: []Connection{
				{Remote: netip.MustParseAddrPort("9.9.9.9:40000"), Local: netip.MustParseAddrPort("44.0.0.10:60")},
				{Remote: netip.MustParseAddrPort("9.9.9.9:40001"), Local: netip.MustParseAddrPort("44.0.0.10:60")},
			},
		}},
		{"unknown", Unknown{Field: 1000}},
	} {
		payload, err := Marshal(Envelope{Sender: one.Stack, Incarnation: one.Incarnation, Message: next.message})
		if err != nil {
			t.Fatalf("example %s: %v", next.name, err)
		}
		frame, err := sealer.Append(nil, payload)
		keep(next.name, frame, err)
	}
	portFileExamples(two.Identity, keep)
	return found
}

// portFileExamples are parts of a port file that the stack two has a slot in.
func portFileExamples(two Identity, keep func(name string, b []byte, err error)) {
	header := make([]byte, portfile.HeaderSize)
	portfile.Header{Plex: two.Plex, ID: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, State: portfile.Settled}.Encode(header)
	_, err := portfile.DecodeHeader(header)
	keep("port-file-header", header[:120], err)

	slot := make([]byte, portfile.SlotSize)
	portfile.Member{Incarnation: two.Incarnation, PID: 77, XCF: two.XCF, Stack: two.Stack}.Encode(slot)
	portfile.Store{Offset: portfile.SlotStateOffset, Value: uint64(portfile.SlotLive)}.Apply(slot)
	_, err = portfile.DecodeMember(slot)
	keep("port-file-slot", slot[:80], err)

	entry := make([]byte, portfile.EntrySize)
	portfile.InitEntry(entry, portfile.Record{DVIPA: netip.MustParseAddr("44.0.0.10"), Pool: portfile.Pool{First: 1024, Last: 65535}})
	_, _, err = portfile.DecodeRecord(entry)
	keep("port-file-record", bytes.Clone(entry[:portfile.RecordSize]), err)

	portfile.Prepare(entry, 1).Apply(entry)
	take := portfile.Take(entry, 5000, 1, true)
	keep("port-file-take", storeBytes(take, entry), nil)
	free := portfile.Free(entry, 5000, 1, portfile.RestUntil(0, 1000*time.Second))
	keep("port-file-free", storeBytes(free, entry), nil)
}

// storeBytes are the stores of an update, which are made.
func storeBytes(u portfile.Update, entry []byte) (b []byte) {
	for _, s := range u.Stores() {
		s.Apply(entry)
		b = binary.LittleEndian.AppendUint64(b, uint64(s.Offset))
		b = binary.LittleEndian.AppendUint64(b, s.Value)
	}
	return b
}

var block = regexp.MustCompile("(?s)```hex ([a-z-]+)\n(.*?)```")

// The bytes in the manual are what this package sends.
func TestManualShowsRealBytes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := examples(t)
	shown := make(map[string]bool)
	fresh := block.ReplaceAllStringFunc(string(text), func(found string) string {
		name := block.FindStringSubmatch(found)[1]
		shown[name] = true
		return fmt.Sprintf("```hex %s\n%s```", name, lines(want[name]))
	})
	if *update {
		if err := os.WriteFile("README.md", []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name := range want {
		if !shown[name] {
			t.Errorf("example %s is not in README.md", name)
		}
	}
	if diff := cmp.Diff(string(text), fresh); diff != "" {
		t.Errorf("README.md shows other bytes; go test -run Manual -update writes them (-shown +sent):\n%s", diff)
	}
}

// lines are bytes as the manual shows them: 16 a line.
func lines(b []byte) string {
	var text strings.Builder
	for ; len(b) > 16; b = b[16:] {
		fmt.Fprintf(&text, "% x\n", b[:16])
	}
	fmt.Fprintf(&text, "% x\n", b)
	return text.String()
}

// The limits in the manual are those of this package.
func TestManualShowsTheLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]int{
		"UDP port of HELLOs": HelloPort, "key, nonce, MAC": KeySize, "HELLO datagram": MaxHello,
		"length field in a handshake": MaxGreeting, "length field": MaxFrame, "stacks of a plex": MaxMembers,
		"name of a plex or stack": MaxName, "name of an application": MaxApplication, "entries of a VIPA_LIST": MaxDVIPAs,
		"port ranges of a distribution": MaxPortRanges, "weight": MaxWeight, "capacity": MaxCapacity, "connections of a NEWCONN or TERMCONN": MaxConnections,
		"ports of a PORT_RELEASE or PORTS_HELD": MaxPorts,
		"DVIPAs with CLUSTERPORTS":              portfile.MaxEntries,
	} {
		if row := fmt.Sprintf("| %s | %d", name, value); !strings.Contains(string(text), row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
	if portfile.MaxMembers != MaxMembers {
		t.Error("the port file has no slot for each stack any more")
	}
	if NonceSize != KeySize || MACSize != KeySize {
		t.Error("key, nonce and MAC are not of one size any more")
	}
	for _, address := range []netip.Addr{HelloBroadcast, HelloMulticast} {
		if !strings.Contains(string(text), "`"+address.String()+"`") {
			t.Errorf("README.md does not name %s", address)
		}
	}
}
