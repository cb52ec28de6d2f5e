package portfile

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func apply(entry []byte, stores ...Store) {
	for _, store := range stores {
		store.Apply(entry)
	}
}

func take(entry []byte, port uint16, slot int, unique bool) {
	u := Take(entry, port, slot, unique)
	apply(entry, u.Stores()...)
}

func free(entry []byte, port uint16, slot int, rest Rest) {
	u := Free(entry, port, slot, rest)
	apply(entry, u.Stores()...)
}

// changes are every kind of update, each with what has to have happened before.
var changes = []struct {
	name   string
	before func(entry []byte)
	update func(entry []byte) Update
	want   []PortUse // at time 100 s
}{
	{"take", func([]byte) {}, func(b []byte) Update { return Take(b, 60, 1, false) }, []PortUse{{Port: 60, Slots: []int{1}}}},
	{"take unique", func([]byte) {}, func(b []byte) Update { return Take(b, 60, 1, true) }, []PortUse{{Port: 60, Unique: true, Slots: []int{1}}}},
	{"take shared", func(b []byte) { take(b, 60, 0, false) }, func(b []byte) Update { return Take(b, 60, 1, false) }, []PortUse{{Port: 60, Slots: []int{0, 1}}}},
	{"take again", func(b []byte) { take(b, 60, 1, true) }, func(b []byte) Update { return Take(b, 60, 1, false) }, []PortUse{{Port: 60, Unique: true, Slots: []int{1}}}},
	{"take resting", func(b []byte) {
		take(b, 61, 1, true)
		free(b, 61, 1, at(160))
		take(b, 60, 1, true)
		free(b, 60, 1, at(160))
	},
		func(b []byte) Update { return Take(b, 60, 1, true) }, []PortUse{{Port: 60, Unique: true, Slots: []int{1}}, {Port: 61, Rest: 60 * time.Second}}},
	{"free", func(b []byte) { take(b, 60, 1, true) }, func(b []byte) Update { return Free(b, 60, 1, 0) }, nil},
	{"free to rest", func(b []byte) { take(b, 65535, 1, true) }, func(b []byte) Update { return Free(b, 65535, 1, at(160)) },
		[]PortUse{{Port: 65535, Rest: 60 * time.Second}}},
	{"free shared", func(b []byte) { take(b, 60, 0, false); take(b, 60, 1, false) }, func(b []byte) Update { return Free(b, 60, 1, at(160)) },
		[]PortUse{{Port: 60, Slots: []int{0}}}},
	{"free what is free", func([]byte) {}, func(b []byte) Update { return Free(b, 60, 1, 0) }, nil},
}

func at(seconds int) Rest { return Rest(100 * seconds) }

// An update that stops after any of its stores is completed, and so is one whose completion
// stops after any of its own.
func TestAnUpdateInterruptedAnywhereIsCompleted(t *testing.T) {
	t.Parallel()
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			begin := newEntry(dvipa4, 0, 1)
			change.before(begin)
			update := change.update(begin)
			stores := update.Stores()
			if first, last := stores[0], stores[len(stores)-1]; first.Offset != IntentOffset || first.Value == 0 || last != (Store{IntentOffset, 0}) {
				t.Fatalf("the update is not within its intent: %v", stores)
			}
			begun := bytes.Clone(begin)
			apply(begun, stores...)
			check(t, "the whole update", begun, change.want)
			for i := 1; i < len(stores); i++ {
				interrupted := bytes.Clone(begin)
				apply(interrupted, stores[:i]...)
				redo, err := Redo(interrupted)
				if err != nil {
					t.Fatal(err)
				}
				for j := range redo.Stores() {
					twice := bytes.Clone(interrupted)
					apply(twice, redo.Stores()[:j]...)
					again, err := Redo(twice)
					if err != nil {
						t.Fatal(err)
					}
					apply(twice, again.Stores()...)
					check(t, fmt.Sprintf("%d stores and %d of the repair", i, j), twice, change.want)
				}
			}
		})
	}
}

func check(t *testing.T, when string, entry []byte, want []PortUse) {
	t.Helper()
	if findings := Audit(entry, nil); len(findings) > 0 {
		t.Errorf("after %s: %v", when, findings)
	}
	if diff := cmp.Diff(want, InUse(entry, 100*time.Second)); diff != "" {
		t.Errorf("after %s (-want +got):\n%s", when, diff)
	}
}

// Each kind of finding is found where it is.
func TestAudit(t *testing.T) {
	t.Parallel()
	word := func(offset int, value uint64) func([]byte) { return Store{offset, value}.Apply }
	for _, test := range []struct {
		name   string
		damage func(entry []byte)
		want   Finding
	}{
		{"intent", word(IntentOffset, uint64(NewTake(60, 1, true))), Finding{0, Inconsistent, false, "an update is not completed: take port 60 by slot 1 as unique"}},
		{"used and available", word(usageOffset(1)+8, 1), Finding{64, HeldAvailable, false, "available, and used by slots [1]"}},
		{"unavailable", word(AvailableOffset+8, ^uint64(2)), Finding{65, NoHolder, false, "unavailable, and used by nobody"}},
		{"unique", word(UniqueOffset+BitmapSize-8, 1<<63), Finding{65535, NoHolder, false, "unique, and used by nobody"}},
		{"port 0", word(usageOffset(0), 1), Finding{0, Inconsistent, false, "port 0 is not left alone"}},
		{"resting", func(b []byte) { take(b, 66, 1, true); word(RestOffset+4*66, 1)(b) }, Finding{66, Inconsistent, false, "rests, and is used by slots [1]"}},
		{"conflict", func(b []byte) { take(b, 66, 1, true); take(b, 66, 0, false) }, Finding{66, SeveralHolders, true, "unique, and used by slots [0 1]"}},
		{"no member", func(b []byte) { take(b, 66, 2, true) }, Finding{0, DeadHolder, false, "slot 2 uses 1 ports and is no member"}},
	} {
		entry := newEntry(dvipa6, 0, 1, 2)
		test.damage(entry)
		got := Audit(entry, func(slot int) bool { return slot < 2 })
		if diff := cmp.Diff([]Finding{test.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	const wrap = (1 << 32) * restUnit // after 497 days
	for _, test := range []struct{ now, length, later, want time.Duration }{
		{0, 0, 0, 0},
		{0, time.Minute, 0, time.Minute},
		{5 * time.Millisecond, time.Minute, 5 * time.Millisecond, time.Minute + restUnit}, // never shorter than asked
		{time.Second, time.Minute, 31 * time.Second, 30 * time.Second},
		{time.Second, time.Minute, 61 * time.Second, 0},
		{time.Second, time.Minute, time.Hour, 0},
		{wrap - time.Second, time.Minute, wrap + time.Second, 58 * time.Second},
		{wrap - time.Minute, time.Minute, wrap - time.Second, time.Second + restUnit}, // 0 says no rest
		{0, 2 * MaxRest, 0, MaxRest},
		{2 * MaxRest, time.Minute, 0, 0}, // of another boot
	} {
		if got := RestUntil(test.now, test.length).Left(test.later); got != test.want {
			t.Errorf("rest of %s from %s has %s left at %s, want %s", test.length, test.now, got, test.later, test.want)
		}
	}
}

func TestBitmap(t *testing.T) {
	t.Parallel()
	entry := newEntry(dvipa4, 0)
	for _, port := range []uint16{1, 64, 127, 65535} {
		take(entry, port, 0, false)
	}
	usage := Usage(entry, 0)
	if got, want := slices.Collect(usage.Ports), []uint16{1, 64, 127, 65535}; !slices.Equal(got, want) {
		t.Errorf("ports %v, want %v", got, want)
	}
	for _, test := range []struct {
		pool Pool
		want int
	}{{Pool{1, 65535}, 4}, {Pool{1, 1}, 1}, {Pool{2, 63}, 0}, {Pool{64, 127}, 2}, {Pool{64, 126}, 1}, {Pool{128, 65535}, 1}} {
		if got := usage.CountIn(test.pool); got != test.want {
			t.Errorf("%d ports in %v, want %d", got, test.pool, test.want)
		}
	}
	for _, test := range []struct {
		first, last uint16
		want        uint16
		found       bool
	}{
		{1, 65535, 1, true}, {2, 65535, 64, true}, {64, 64, 64, true}, {65, 127, 127, true}, {65, 126, 0, false}, {128, 65535, 65535, true},
		{128, 65534, 0, false},
	} {
		got, found := usage.Next(test.first, test.last)
		if found != test.found || found && got != test.want {
			t.Errorf("next from %d to %d: %d %t, want %d %t", test.first, test.last, got, found, test.want, test.found)
		}
	}
}

// FuzzEntry: bytes that are taken for an entry can be repaired, listed and audited whatever they
// are, and what is repaired needs no further repair.
func FuzzEntry(f *testing.F) {
	for _, change := range changes {
		entry := newEntry(dvipa4, 0, 1)
		change.before(entry)
		update := change.update(entry)
		apply(entry, update.Stores()[:2]...)
		f.Add(entry[:PreparedOffset+16], uint16(60), ^uint64(0))
	}
	f.Fuzz(func(t *testing.T, header []byte, port uint16, word uint64) {
		entry := newEntry(dvipa4)
		copy(entry[:EntryHeaderSize], header)
		for _, bitmap := range []int{AvailableOffset, UniqueOffset, usageOffset(0)} {
			offset, _ := bit(bitmap, port)
			le.PutUint64(entry[offset:], word)
		}
		decoded, err := DecodeEntry(entry)
		if err != nil {
			return
		}
		if !decoded.DVIPA.IsValid() || decoded.Pool.Size() < 1 {
			t.Fatalf("taken for an entry: %+v", decoded)
		}
		Audit(entry, nil)
		InUse(entry, time.Second)
		redo, err := Redo(entry)
		if err != nil {
			return
		}
		apply(entry, redo.Stores()...)
		if again, err := Redo(entry); err != nil || len(again.Stores()) != 0 {
			t.Fatalf("repaired and needs repair again: %v, error %v", again.Stores(), err)
		}
	})
}

// FuzzHeader: what is taken for a header or a slot means the same when it is written again.
func FuzzHeader(f *testing.F) {
	b := make([]byte, HeaderSize)
	Header{Plex: "PLEX1", State: Settled}.Encode(b)
	f.Add(b[:120])
	slot := make([]byte, SlotSize)
	Member{Incarnation: 1, XCF: dvipa6, Stack: "MVS1"}.Encode(slot)
	Store{SlotStateOffset, uint64(SlotLive)}.Apply(slot)
	f.Add(slot)
	f.Fuzz(func(t *testing.T, bytes []byte) {
		first, second := make([]byte, HeaderSize), make([]byte, HeaderSize)
		copy(first, bytes)
		if header, err := DecodeHeader(first); err == nil {
			header.Encode(second)
			if again, err := DecodeHeader(second); err != nil || again != header {
				t.Fatalf("header %+v is %+v when written again, error %v", header, again, err)
			}
		}
		if member, err := DecodeMember(first); err == nil && member.State != SlotFree {
			member.Encode(second)
			Store{SlotStateOffset, uint64(member.State)}.Apply(second)
			if again, err := DecodeMember(second); err != nil || again != member {
				t.Fatalf("member %+v is %+v when written again, error %v", member, again, err)
			}
		}
	})
}
