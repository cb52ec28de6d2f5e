package sockets

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// diagMessage makes a struct inet_diag_msg of IPv4 addresses.
func diagMessage(family byte, attributes ...byte) []byte {
	b := make([]byte, sizeofDiagMessage)
	b[0], b[1] = family, byte(tcpTimeWait)
	binary.BigEndian.PutUint16(b[4:], 80)
	binary.BigEndian.PutUint16(b[6:], 4000)
	if family == unix.AF_INET6 {
		copy(b[8:], netip.MustParseAddr("::ffff:10.1.0.1").AsSlice())
		copy(b[24:], netip.MustParseAddr("2001:db8::1").AsSlice())
	} else {
		copy(b[8:], []byte{10, 1, 0, 1})
		copy(b[24:], []byte{10, 44, 0, 2})
	}
	binary.NativeEndian.PutUint32(b[40:], 7)
	binary.NativeEndian.PutUint32(b[44:], 1)
	binary.NativeEndian.PutUint32(b[48:], 2)
	binary.NativeEndian.PutUint32(b[52:], 1500)
	return append(b, attributes...)
}

func TestParseDiag(t *testing.T) {
	t.Parallel()
	want := diagSocket{
		state: tcpTimeWait, cookie: 2<<32 | 1, device: 7, expires: 1500 * time.Millisecond,
		local: netip.MustParseAddrPort("10.1.0.1:80"), remote: netip.MustParseAddrPort("10.44.0.2:4000"),
	}
	want6 := want
	want6.remote, want6.v6Only = netip.MustParseAddrPort("[2001:db8::1]:4000"), true
	for _, test := range []struct {
		name string
		in   []byte
		want diagSocket
		ok   bool
	}{
		{"IPv4", diagMessage(unix.AF_INET), want, true},
		{"IPv6, attribute", diagMessage(unix.AF_INET6, 5, 0, 0x63, 0, 9, 0, 0, 0, 5, 0, diagSKV6Only, 0, 1, 0, 0, 0), want6, true},
		{"last attribute without padding", diagMessage(unix.AF_INET6, 5, 0, diagSKV6Only, 0, 1), want6, true},
		{"another family", diagMessage(unix.AF_UNIX), diagSocket{}, false},
		{"short", diagMessage(unix.AF_INET)[:71], diagSocket{}, false},
		{"empty", nil, diagSocket{}, false},
		{"attribute longer than the message", diagMessage(unix.AF_INET, 9, 0, 1, 0, 0, 0, 0, 0), diagSocket{}, false},
		{"attribute shorter than its header", diagMessage(unix.AF_INET, 3, 0, 1, 0), diagSocket{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseDiag(test.in)
			if got != test.want || (err == nil) != test.ok {
				t.Errorf("got %v, %v, want %v, %v", got, err, test.want, test.ok)
			}
		})
	}
}

func TestRequestLayout(t *testing.T) {
	t.Parallel()
	c := Connection{Local: netip.MustParseAddrPort("10.1.0.1:80"), Remote: netip.MustParseAddrPort("10.44.0.2:4000")}
	got := appendRequest(nil, unix.AF_INET, unix.NLM_F_ACK, 9, listening, probe{c, 7})
	want := "48000000" + "1400" + "0500" + "09000000" + "00000000" + // netlink header
		"02060000" + "00040000" + // AF_INET, TCP, 1 << LISTEN
		"0050" + "0fa0" + "0a010001" + "000000000000000000000000" + "0a2c0002" + "000000000000000000000000" +
		"07000000" + "ffffffffffffffff"
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("written for a little-endian machine")
	}
	if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	got = appendDump(nil, 9, listening)
	want = "4c000000" + "1200" + "0103" + "09000000" + "00000000" + // netlink header
		"00000000" + strings.Repeat("00", 48) + "00040000" + "00000000" // any family, 1 << LISTEN
	if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
		t.Errorf("dump (-want +got):\n%s", diff)
	}
}

func FuzzDiagDatagram(f *testing.F) {
	header := func(kind uint16, payload []byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(sizeofNlmsghdr+len(payload)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		return append(append(b, make([]byte, 10)...), payload...)
	}
	done := header(unix.NLMSG_DONE, []byte{0, 0, 0, 0})
	f.Add(done)
	f.Add(slices.Concat(header(unix.SOCK_DIAG_BY_FAMILY, diagMessage(unix.AF_INET)), done))
	f.Add(header(unix.SOCK_DIAG_BY_FAMILY, diagMessage(unix.AF_INET6, 5, 0, diagSKV6Only, 0, 1)))
	f.Add(header(unix.NLMSG_ERROR, []byte{0xfe, 0xff, 0xff, 0xff}))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := eachMessage(b, func(kind uint16, _ uint32, payload []byte) error {
			if kind == unix.NLMSG_ERROR {
				return messageError(payload)
			}
			s, err := parseDiag(payload)
			if err == nil && (!s.local.Addr().IsValid() || s.local.Addr().Is4In6() || s.remote.Addr().Is4In6()) {
				t.Errorf("parsed to %v", s)
			}
			return err
		})
		if err == nil && len(b) > 0 && len(b) < sizeofNlmsghdr {
			t.Errorf("%d bytes taken for a message", len(b))
		}
	})
}

// What parses is written again as it was, apart from what an address does not carry.
func FuzzSockaddr(f *testing.F) {
	for _, a := range []string{"10.1.0.1:80", "0.0.0.0:0", "[::]:0", "[2001:db8::1]:443", "[::ffff:10.1.0.1]:80"} {
		for _, domain := range []int{unix.AF_INET, unix.AF_INET6} {
			if b, ok := sockaddr(domain, netip.MustParseAddrPort(a)); ok {
				f.Add(domain, b)
				f.Add(domain, b[:len(b)-4])
			}
		}
	}
	f.Add(unix.AF_INET, make([]byte, sizeofSockaddr4))
	f.Fuzz(func(t *testing.T, domain int, b []byte) {
		a, ok := parseSockaddr(domain, b)
		if !ok {
			return
		}
		if !a.IsValid() || a.Addr().Is4In6() {
			t.Fatalf("parsed to %v", a)
		}
		written, ok := sockaddr(domain, a)
		if !ok {
			t.Fatalf("%v does not go into domain %d, which it came from", a, domain)
		}
		if again, ok := parseSockaddr(domain, written); !ok || again != a {
			t.Errorf("%v was written as %x and read as %v", a, written, again)
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add([]byte(helloMagic))
	f.Add(hello("APPA"))
	f.Add([]byte("sockets/2 APPA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		application, err := parseHello(b)
		if err == nil && (string(hello(application)) != string(b) || checkApplication(application) != nil) {
			t.Errorf("%q taken for application %q", b, application)
		}
	})
}

func TestMessageError(t *testing.T) {
	t.Parallel()
	if err := messageError([]byte{0xfe, 0xff, 0xff, 0xff}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want ENOENT", err)
	}
	if err := messageError(make([]byte, 4)); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
