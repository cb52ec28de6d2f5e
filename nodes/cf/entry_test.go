package cf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// newEntry is an entry on the heap, with slots prepared.
func newEntry(pool portfile.Pool, slots int) entry {
	e := make(entry, portfile.EntrySize)
	portfile.InitEntry(e, portfile.Record{DVIPA: dvipa4, Pool: pool})
	for slot := range slots {
		e.store(portfile.Prepare(e, slot))
	}
	return e
}

// The answers of an entry are those of a table that is as simple as can be (block 204, I15, I18).
func TestEntryAnswersAsATable(t *testing.T) {
	t.Parallel()
	const slots, ports, steps, auditEvery = 4, 6, 20000, 200
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	e := newEntry(portfile.Pool{First: 1, Last: ports}, slots)
	type use struct {
		unique bool
		slots  map[int]bool
	}
	table := map[uint16]*use{}
	for port := range uint16(ports) {
		table[port+1] = &use{slots: map[int]bool{}}
	}
	for step := range steps {
		port, slot := uint16(1+random.IntN(ports)), random.IntN(slots)
		asked := []Use{Shared, Unique}[random.IntN(2)]
		u := table[port]
		others := len(u.slots) > 1 || len(u.slots) == 1 && !u.slots[slot]
		want := granted
		switch {
		case u.slots[slot] && (u.unique || asked == Shared):
			want = kept
		case len(u.slots) > 0 && (u.unique || asked == Unique && others):
			want = refused
		}
		got := e.ask(port, slot, asked)
		if got.outcome != want || want == refused && !slices.Equal(got.holders, slices.Sorted(maps.Keys(u.slots))) {
			t.Fatalf("seed %d, step %d: slot %d asks for port %d as %s, used by %v, unique %t: %+v, want %d", seed, step, slot, port, asked, u.slots, u.unique, got, want)
		}
		switch action := random.IntN(10); {
		case action < 5 && want == granted, action == 5: // mark: whatever the answer
			if action == 5 {
				e.mark(slot, Held{port, asked})
			} else {
				e.take(port, slot, asked)
			}
			u.slots[slot] = true
			u.unique = u.unique || asked == Unique
		case action < 9:
			e.free(port, slot, 0)
			delete(u.slots, slot)
			u.unique = u.unique && len(u.slots) > 0
		case action == 9:
			e.reclaim(slot, 0)
			for _, u := range table {
				delete(u.slots, slot)
				u.unique = u.unique && len(u.slots) > 0
			}
		}
		if step%auditEvery != 0 {
			continue // it looks at all ports
		}
		for _, finding := range portfile.Audit(e, nil) {
			if !finding.Conflict {
				t.Fatalf("seed %d, step %d: %v", seed, step, finding)
			}
		}
	}
}

// Port 0 goes round the pool; rests are passed over until they end.
func TestChooseGoesRound(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	clock := func() time.Duration { return now }
	e := newEntry(portfile.Pool{First: 65533, Last: 65535}, 1)
	e.store(portfile.Store{Offset: portfile.CursorOffset, Value: 7}) // any value is valid
	var got []uint16
	choose := func() {
		port, found := e.choose(portfile.Pool{First: 65533, Last: 65535}, nil, clock)
		if !found {
			port = 0
		}
		got = append(got, port)
	}
	for range 4 {
		choose()
	}
	e.take(65534, 0, Unique)
	e.free(65534, 0, portfile.RestUntil(now, time.Minute))
	choose()
	e.take(65533, 0, Unique)
	e.take(65535, 0, Unique)
	choose()
	now = time.Minute
	choose()
	if want := []uint16{65533, 65534, 65535, 65533, 65535, 0, 65534}; !slices.Equal(got, want) {
		t.Errorf("chosen %v, want %v", got, want)
	}
}

// A stack that is killed after any store of any change of a port file leaves nothing: the next one to
// lock the entry completes the change, and when the stack is taken back, all it had is available.
func TestAKillAfterAnyStore(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	c := config(path, 1)
	c.Rest = 0
	f := open(t, c)
	for name, change := range map[string]func(e entry, slot int) portfile.Update{
		"take unique": func(e entry, slot int) portfile.Update { return portfile.Take(e, 5000, slot, true) },
		"take shared": func(e entry, slot int) portfile.Update { return portfile.Take(e, 60, slot, false) },
		"take more":   func(e entry, slot int) portfile.Update { return portfile.Take(e, 61, slot, false) },
		"free":        func(e entry, slot int) portfile.Update { return portfile.Free(e, 5001, slot, 0) },
		"free to rest": func(e entry, slot int) portfile.Update {
			return portfile.Free(e, 5001, slot, portfile.RestUntil(bootTime(), time.Millisecond))
		},
		"free shared": func(e entry, slot int) portfile.Update { return portfile.Free(e, 62, slot, 0) },
	} {
		for stores := 1; ; stores++ {
			mustBind(t, f, dvipa4, 61, Shared)
			mustBind(t, f, dvipa4, 62, Shared)
			c := config(path, 2)
			c.Rest = 0
			killed, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			mustBind(t, killed, dvipa4, 5001, Unique)
			mustBind(t, killed, dvipa4, 62, Shared)
			m := killed.current.Load()
			more := false
			i, err := m.lockDVIPA(background, dvipa4, portfile.Pool{}, func(i int) error {
				u := change(m.entry(i), m.slot)
				more = stores < len(u.Stores())
				for _, s := range u.Stores()[:stores] {
					m.entry(i).store(s)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			slot := m.slot
			m.entries[i].mutex.unlock() // the lock of the file ends with the file
			killed.Close()

			what := fmt.Sprintf("%s, %d stores", name, stores)
			if _, err := bind(f, dvipa4, 7000, Unique); err != nil {
				t.Fatalf("%s: the next to lock: %v", what, err)
			}
			mine := f.current.Load()
			if intent := binary.LittleEndian.Uint64(mine.entry(i)[portfile.IntentOffset:]); intent != 0 {
				t.Fatalf("%s: intent %s is left", what, portfile.Intent(intent))
			}
			eventually(t, "ports taken back", func() bool { member, err := mine.member(slot); return err == nil && member.State == portfile.SlotFree })
			var got []uint16
			for _, port := range view(t, f).DVIPAs[0].Ports {
				if port.Rest == 0 {
					got = append(got, port.Port)
				}
			}
			if want := []uint16{61, 62, 7000}; !slices.Equal(got, want) || t.Failed() {
				t.Fatalf("%s: ports %v are in use, want %v", what, got, want)
			}
			if !more {
				break
			}
		}
	}
}

// A stack that is killed while it makes an entry leaves a place that the next one makes anew, also
// where another knows the entry that was there.
func TestAKillWhileAnEntryIsMade(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two := open(t, config(path, 1)), open(t, config(path, 2))
	mustBind(t, one, dvipa4, 5000, Unique)
	mustBind(t, two, dvipa4, 5001, Unique)
	release(t, one, dvipa4, Release{Port: 5000})
	release(t, two, dvipa4, Release{Port: 5001})
	m := one.current.Load()
	// The first thing that is written when a place is made over.
	m.recordState(0).Store(portfile.RecordFree)
	mustBind(t, one, dvipa4, 5001, Unique)
	three := open(t, config(path, 3))
	if _, err := bind(three, dvipa4, 5001, Unique); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a port of an entry that was made again: %v", err)
	}
	release(t, one, dvipa4, Release{Port: 5001})
	m.recordState(0).Store(portfile.RecordFree)
	mustBind(t, two, dvipa6, 5001, Unique)
	mustBind(t, one, dvipa4, 5001, Unique)
	mustBind(t, two, dvipa4, 5002, Unique)
	if got := len(view(t, two).DVIPAs); got != 2 {
		t.Errorf("%d entries, want 2", got)
	}
}
