package contract

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

func hello() Hello {
	return Hello{Plex: "PLEX1", Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 11, TCPPort: 40001, Sequence: 1}
}

func TestHelloKeepsItsMeaningOnTheWire(t *testing.T) {
	t.Parallel()
	second := hello()
	second.XCF, second.Leaving, second.Sequence = netip.MustParseAddr("fd00::1"), true, 1<<64-1
	second.Plex, second.Stack = strings.Repeat("P", MaxName), strings.Repeat("S", MaxName)
	for _, want := range []Hello{hello(), second} {
		datagram, err := SealHello(testKey, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenHello(testKey, datagram)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOpenHelloRefuses(t *testing.T) {
	t.Parallel()
	good, err := SealHello(testKey, hello())
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte(nil), good...)
	changed[3] ^= 1
	greeting := SealGreetingPayload(testKey, good[:len(good)-MACSize])
	for _, test := range []struct {
		name     string
		datagram []byte
		want     error
	}{
		{"empty", nil, ErrTruncated},
		{"shorter than a MAC", good[:MACSize-1], ErrTruncated},
		{"cut off", good[:len(good)-1], ErrMAC},
		{"a bit changed", changed, ErrMAC},
		{"the MAC of a greeting", greeting[4:], ErrMAC},
		{"oversized", make([]byte, MaxHello+1), ErrOversized},
	} {
		if _, err := OpenHello(testKey, test.datagram); !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := OpenHello(Key{9}, good); !errors.Is(err, ErrMAC) {
		t.Errorf("another key: got error %v, want %v", err, ErrMAC)
	}
	if _, err := OpenHello(testKey, SealHelloPayload(testKey, []byte{0xff})); err == nil || !strings.Contains(err.Error(), "not a protobuf message") {
		t.Errorf("no protobuf: got error %v", err)
	}
}

func TestOpenHelloNamesTheField(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*xcfpb.Hello){
		"plex: 0 characters, want 1 to 32":                      func(h *xcfpb.Hello) { h.Plex = "" },
		"stack: 33 characters, want 1 to 32":                    func(h *xcfpb.Hello) { h.Stack = strings.Repeat("S", 33) },
		"xcf_address: 3 bytes, want 4 or 16":                    func(h *xcfpb.Hello) { h.XcfAddress = h.XcfAddress[1:] },
		"xcf_address: 255.255.255.255 is not the address of on": func(h *xcfpb.Hello) { h.XcfAddress = HelloBroadcast.AsSlice() },
		"incarnation: 0, want 1 or more":                        func(h *xcfpb.Hello) { h.Incarnation = 0 },
		"tcp_port: 65536, want 1 to 65535":                      func(h *xcfpb.Hello) { h.TcpPort = 65536 },
		"sequence: 0, want 1 or more":                           func(h *xcfpb.Hello) { h.Sequence = 0 },
	} {
		wire := &xcfpb.Hello{Plex: "PLEX1", Stack: "MVS1", XcfAddress: []byte{10, 1, 0, 1}, Incarnation: 11, TcpPort: 40001, Sequence: 1}
		change(wire)
		payload, err := proto.Marshal(wire)
		if err != nil {
			t.Fatal(err)
		}
		_, err = OpenHello(testKey, SealHelloPayload(testKey, payload))
		var field *FieldError
		if !errors.As(err, &field) || !strings.Contains(err.Error(), "HELLO: "+want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func TestSealHelloRefusesWhatOpenHelloWould(t *testing.T) {
	t.Parallel()
	h := hello()
	h.Sequence = 0
	var field *FieldError
	if _, err := SealHello(testKey, h); !errors.As(err, &field) || field.Field != "sequence" {
		t.Errorf("got error %v, want one about the sequence", err)
	}
}
