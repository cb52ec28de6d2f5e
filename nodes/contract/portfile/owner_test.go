package portfile

import (
	"net/netip"
	"testing"
)

func TestOwnerText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Owner{
		"MVS1 10.1.0.1 1000":                  {"MVS1", netip.MustParseAddr("10.1.0.1"), 1000},
		"MVS2 fd00:1::2 18446744073709551615": {"MVS2", netip.MustParseAddr("fd00:1::2"), 1<<64 - 1},
		"":                                    {},
		"MVS1 10.1.0.1":                       {},
		"MVS1 10.1.0.1 0":                     {},
		"MVS1 10.1.0.1 -1":                    {},
		"MVS1 10.1.0 1":                       {},
		"MVS1 fe80::1%eth0 1":                 {},
		"MVS1 ::ffff:10.1.0.1 1":              {},
		"MVS1 10.1.0.1 1 ":                    {},
		" 10.1.0.1 1":                         {},
		"A23456789012345678901234567890123 ::1 1": {},
		"MVS\x01 10.1.0.1 1":                      {},
	} {
		got, err := ParseOwner(text)
		if got != want || (err == nil) != (want.Stack != "") {
			t.Errorf("claim %q: %+v, %v; want %+v", text, got, err, want)
		}
		if err == nil && got.String() != text {
			t.Errorf("claim %q says %q again", text, got)
		}
	}
}

func TestClaimNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		epoch     uint64
		ended, ok bool
	}{
		"1": {1, false, true}, "18446744073709551615": {1<<64 - 1, false, true}, "7.ended": {7, true, true},
		"": {}, "0": {}, "01": {}, "+1": {}, "1.over": {}, ".ended": {}, "x": {}, "18446744073709551616": {},
	} {
		epoch, ended, ok := ParseClaimName(name)
		if ok != want.ok || ok && (epoch != want.epoch || ended != want.ended) {
			t.Errorf("name %q: epoch %d, ended %v, %v; want %+v", name, epoch, ended, ok, want)
		}
	}
	if name := ClaimsDirectory(netip.MustParseAddr("::ffff:44.0.0.10")); name != "44.0.0.10" {
		t.Errorf("directory %q", name)
	}
}

func TestHeartbeatWords(t *testing.T) {
	t.Parallel()
	slot := make([]byte, SlotSize)
	if got := DecodeHeartbeat(slot); got != (Heartbeat{}) {
		t.Errorf("a slot that nothing was said in: %+v", got)
	}
	for _, want := range []Heartbeat{{Beat: 1}, {Beat: 1 << 62, Sees: 1<<32 - 1}, {Sees: 127, Outside: true}, {Outside: true}} {
		Store{Offset: BeatOffset, Value: uint64(want.Beat)}.Apply(slot)
		Store{Offset: SightOffset, Value: want.Sight()}.Apply(slot)
		if got := DecodeHeartbeat(slot); got != want {
			t.Errorf("heartbeat %+v, want %+v", got, want)
		}
	}
	// Whoever writes a slot anew says nothing yet.
	Member{Incarnation: 1, XCF: netip.MustParseAddr("10.1.0.1"), Stack: "MVS1"}.Encode(slot)
	if got := DecodeHeartbeat(slot); got != (Heartbeat{}) {
		t.Errorf("a slot that was written anew: %+v", got)
	}
}
