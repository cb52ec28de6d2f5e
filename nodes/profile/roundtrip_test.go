package profile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever right profile is written, in whatever spelling, its canonical form says the same.
func TestRoundTripOfRandomProfiles(t *testing.T) {
	for seed := range uint64(500) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 9))}
		text := w.profile()
		p, err := Parse("random", []byte(text), nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if got := len(p.Defines) + len(p.Backups) + len(p.Distributes) + len(p.Ranges) + len(p.SourceIPAs); got != w.statements {
			t.Fatalf("seed %d: %d statements, want %d\n%s", seed, got, w.statements, text)
		}
		again, err := Parse("printed", []byte(p.String()), nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p)
		}
		if diff := cmp.Diff(p, again, withoutPositions); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// writer writes random right profiles: every DVIPA once, the n-th statement in subnet n.
type writer struct {
	*rand.Rand
	b          strings.Builder
	statements int
	held       []netip.Addr
}

func (w *writer) profile() string {
	w.keyword(kwBlock)
	for range w.IntN(12) {
		w.statements++
		switch w.IntN(5) {
		case 0:
			w.keyword(kwDefine)
			w.options(kwImmediate)
			v6 := w.IntN(3) == 0
			w.mask(v6, 24)
			w.hold(v6)
		case 1:
			w.keyword(kwBackup)
			w.word(fmt.Sprint(1 + w.IntN(254)))
			w.hold(w.IntN(3) == 0)
		case 2:
			w.distribute()
		case 3:
			w.keyword(kwRange)
			w.options(kwNonDisrupt)
			v6 := w.IntN(3) == 0
			w.mask(v6, 28)
			w.word(w.address(v6, 64).String())
		default:
			w.keyword(kwSourceIPA)
			w.word(w.address(false, 1).String())
			w.word(fmt.Sprintf("APP%d%s", w.statements, []string{"", "X", "*", "@*"}[w.IntN(4)]))
		}
	}
	w.keyword(kwEndBlock)
	return w.b.String()
}

func (w *writer) distribute() {
	if len(w.held) == 0 {
		w.statements--
		return
	}
	w.keyword(kwDistribute)
	w.word(w.held[0].String())
	w.held = w.held[1:]
	if w.IntN(2) == 0 {
		w.keyword(kwPort)
		port := 0
		for range w.IntN(4) {
			first := port + 1 + w.IntN(5000)
			port = first + w.IntN(2)*w.IntN(5000)
			w.word(Ports{First: uint16(first), Last: uint16(port)}.String())
		}
	}
	if w.IntN(3) == 0 {
		w.keyword(kwSysplexPorts)
	}
	w.keyword(kwDestIP)
	if w.IntN(2) == 0 {
		w.keyword(kwAll)
		return
	}
	for n := range 1 + w.IntN(4) {
		if n > 0 && w.IntN(2) == 0 {
			w.b.WriteString(comma)
		}
		w.word(netip.AddrFrom4([4]byte{10, 1, 0, byte(n + 1)}).String())
		if w.IntN(2) == 0 {
			w.keyword(kwWeight)
			w.word(fmt.Sprint(1 + w.IntN(99)))
		}
	}
}

// options writes the movement, with or without its second word, and CLUSTERPORTS.
func (w *writer) options(movement keyword) {
	if w.IntN(3) == 0 {
		w.keyword(kwClusterPorts)
	}
	if w.IntN(2) == 0 {
		w.keyword(kwMoveable)
		if w.IntN(2) == 0 {
			w.keyword(movement)
		}
	}
	if movement == kwNonDisrupt && w.IntN(2) == 0 {
		w.keyword(kwInRange)
	}
}

func (w *writer) mask(v6 bool, bits int) {
	forms := []string{fmt.Sprintf("/%d", bits), fmt.Sprint(bits), mask(Address{Addr: netip.IPv4Unspecified()}, bits)}
	if v6 {
		forms = []string{"/112", "112"}
	}
	w.word(forms[w.IntN(len(forms))])
}

// hold writes one to three addresses of this statement's own subnet.
func (w *writer) hold(v6 bool) {
	for n := range 1 + w.IntN(3) {
		a := w.address(v6, byte(n+1))
		w.held = append(w.held, a)
		w.word(a.String())
	}
}

func (w *writer) address(v6 bool, host byte) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 12: byte(w.statements), 15: host})
	}
	return netip.AddrFrom4([4]byte{192, 168, byte(w.statements), host})
}

// keyword writes any abbreviation in any case.
func (w *writer) keyword(k keyword) {
	short := len(k.shortest())
	text := []byte(k[:short+w.IntN(len(k)-short+1)])
	for i, c := range text {
		if w.IntN(2) == 0 {
			text[i] = []byte(strings.ToLower(string(c)))[0]
		}
	}
	w.word(string(text))
}

func (w *writer) word(text string) {
	blanks := []string{" ", "\t", "\n", "\r\n  ", " ; comment, with VIPADEF in it\n"}
	w.b.WriteString(blanks[w.IntN(len(blanks))] + text)
}
