package portfile

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	dvipa4 = netip.MustParseAddr("44.0.0.10")
	dvipa6 = netip.MustParseAddr("2001:db8::10")
	pool   = Pool{1024, 65535}
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]struct{ got, want int64 }{
		"entry":         {EntrySize, 1331200},
		"file":          {FileSize, 1363202048},
		"first entry":   {EntryOffset(0), 53248},
		"last entry":    {EntryOffset(MaxEntries - 1), FileSize - EntrySize},
		"last slot":     {SlotOffset(MaxMembers - 1), DirectoryOffset - SlotSize},
		"last record":   {RecordOffset(MaxEntries - 1), EntriesOffset - RecordSize},
		"last usage":    {ReservedUsage(0, MaxMembers-1).Offset + BitmapSize, EntryOffset(1)},
		"made of entry": {ReservedEntry(1).Length, 282624},
	} {
		if size.got != size.want {
			t.Errorf("%s: %d, want %d", name, size.got, size.want)
		}
	}
	for _, part := range []int64{EntriesOffset, EntrySize, UsageOffset, UniqueOffset, RestOffset} {
		if part%4096 != 0 {
			t.Errorf("%d is not at the beginning of a page", part)
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	want := Header{Plex: "PLEX1", ID: [16]byte{1, 2, 15: 16}, State: Filling, Settle: 5, GiveUp: 7}
	b := make([]byte, HeaderSize)
	want.Encode(b)
	const golden = "504c4558504f5254" + "01000000" + "00100000" + "80000000" + "00040000" + "80000000" + "00501400" + "00d0405100000000" +
		"01020000000000000000000000000010" + "504c4558310000000000000000000000" + "00000000000000000000000000000000" + "566f77ed" + "00000000" +
		"0100000000000000" + "0500000000000000" + "0700000000000000"
	if got := hex.EncodeToString(b[:120]); got != golden {
		t.Errorf("bytes\n%s, want\n%s", got, golden)
	}
	got, err := DecodeHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	want := Member{State: SlotLive, Incarnation: 1000, PID: 77, XCF: netip.MustParseAddr("10.1.0.1"), Stack: "MVS1"}
	b := make([]byte, SlotSize)
	want.Encode(b)
	if got, err := DecodeMember(b); err != nil || got.State != SlotFree {
		t.Errorf("before its state is stored the slot is %v, error %v; want free", got, err)
	}
	b[SlotStateOffset] = byte(SlotLive)
	const golden = "0200000000000000" + "e803000000000000" + "4d000000" + "00000000" + "0a010001000000000000000000000000" + "04" + "00000000000000" +
		"4d56533100000000000000000000000000000000000000000000000000000000"
	if got := hex.EncodeToString(b[:80]); got != golden {
		t.Errorf("bytes\n%s, want\n%s", got, golden)
	}
	got, err := DecodeMember(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// newEntry is an entry that is there, with slots prepared.
func newEntry(dvipa netip.Addr, slots ...int) []byte {
	b := make([]byte, EntrySize)
	InitEntry(b, Record{dvipa, pool})
	for _, slot := range slots {
		Prepare(b, slot).Apply(b)
	}
	return b
}

func TestEntry(t *testing.T) {
	t.Parallel()
	for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
		b := newEntry(dvipa, 2, 127)
		want := Entry{Record: Record{dvipa, pool}, Cursor: 1024, Prepared: [2]uint64{1 << 2, 1 << 63}}
		got, err := DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if got := Available(b).Count(); got != Ports-1 {
			t.Errorf("%d ports are available, want all but port 0", got)
		}
		if findings := Audit(b, nil); len(findings) > 0 {
			t.Errorf("a new entry: %v", findings)
		}
	}
}

// Every field that is wrong is named.
func TestMalformed(t *testing.T) {
	t.Parallel()
	header := make([]byte, HeaderSize)
	Header{Plex: "PLEX1", State: Settled}.Encode(header)
	slot := make([]byte, SlotSize)
	Member{Incarnation: 1, XCF: dvipa4, Stack: "MVS1"}.Encode(slot)
	slot[SlotStateOffset] = byte(SlotLive)
	entry := newEntry(dvipa4)[:EntryHeaderSize]
	record := entry[:RecordSize]
	decode := map[string]func([]byte) error{
		"header":      func(b []byte) error { _, err := DecodeHeader(b); return err },
		"member slot": func(b []byte) error { _, err := DecodeMember(b); return err },
		"directory":   func(b []byte) error { _, _, err := DecodeRecord(b); return err },
		"entry":       func(b []byte) error { _, err := DecodeEntry(b); return err },
	}
	for _, test := range []struct {
		part   string
		good   []byte
		offset int
		value  byte
		want   string
	}{
		{"header", header, 0, 'X', "this is no port file"},
		{"header", header, offVersion, 2, "version 2, want 1"},
		{"header", header, offPlex, 'Q', "checksum"},
		{"header", header, StateOffset, 9, "state 9"},
		{"member slot", slot, SlotStateOffset, 9, "state 9"},
		{"member slot", slot, offIncarnation, 0, "incarnation 0"},
		{"member slot", slot, offMemberXCF + 16, 5, "address of 5 bytes"},
		{"member slot", slot, offMemberXCF + 15, 5, "bytes after the address"},
		{"member slot", slot, offMemberName, 0, "after the name"},
		{"member slot", slot, offMemberName, ' ', "printable"},
		{"directory", record, RecordStateOffset, 1, "state"},
		{"directory", record, offCheck, 1, "checksum"},
		{"directory", record, RecordSize - 1, 1, "checksum"},
		{"entry", entry, RecordStateOffset, 1, "state"},
		{"entry", entry, offDVIPA, 1, "checksum"},
		{"entry", entry, IntentOffset, 1, "is none"},
	} {
		b := append([]byte(nil), test.good...)
		if err := decode[test.part](b); err != nil {
			t.Fatalf("%s: %v", test.part, err)
		}
		b[test.offset] = test.value
		err := decode[test.part](b)
		var format *FormatError
		if !errors.As(err, &format) || format.Part != test.part || !strings.Contains(format.Problem, test.want) {
			t.Errorf("%s with byte %d = %d: %v, want it to say %q", test.part, test.offset, test.value, err, test.want)
		}
	}
}
