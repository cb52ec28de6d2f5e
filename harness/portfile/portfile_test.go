package portfile

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	layout "github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

var (
	dvipa4 = netip.MustParseAddr("44.0.0.10")
	dvipa6 = netip.MustParseAddr("2001:db8::10")
	mvs1   = contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1}
	mvs2   = contract.Member{Stack: "MVS2", XCF: netip.MustParseAddr("fd00::2"), Incarnation: 2}
	pool   = contract.PortRange{First: 1024, Last: 65535}

	compare = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

// scene is a port file with the entries of two DVIPAs and two peers.
func scene(t *testing.T) (f *File, one, two *Peer) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "plexlab-portfile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "ports")
	if err := Create(path, "PLEX1"); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, "PLEX1"); !errors.Is(err, os.ErrExist) {
		t.Fatalf("a second file at the path: %v", err)
	}
	if f, err = Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	join := func(member contract.Member) *Peer {
		p, err := Join(path, member)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Die() }) // it may be dead
		return p
	}
	one, two = join(mvs1), join(mvs2)
	for _, dvipa := range []netip.Addr{dvipa4, dvipa6, dvipa4} {
		must(t, one.Activate(dvipa, pool))
	}
	return f, one, two
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func snapshot(t *testing.T, f *File, dvipa netip.Addr) Snapshot {
	t.Helper()
	s, err := f.Snapshot(dvipa)
	must(t, err)
	return s
}

func clean(t *testing.T, f *File) {
	t.Helper()
	defects, err := f.Audit()
	must(t, err)
	if len(defects) > 0 {
		t.Errorf("audit: %v", defects)
	}
}

func TestPeersShareAndRest(t *testing.T) {
	t.Parallel()
	f, one, two := scene(t)
	must(t, one.Take(dvipa6, 60, false))
	must(t, two.Take(dvipa6, 60, false))
	must(t, two.Take(dvipa6, 5000, true))
	must(t, two.Take(dvipa6, 5001, true))
	must(t, two.Free(dvipa6, 5001, layout.RestUntil(bootTime(), time.Hour)))
	got := snapshot(t, f, dvipa6)
	if rest := got.Ports[2].Rest; rest < 59*time.Minute || rest > time.Hour {
		t.Errorf("5001 rests for %v, want about 1h", rest)
	}
	got.Ports[2].Rest, got.Updates = 0, 0
	want := Snapshot{DVIPA: dvipa6, Pool: pool, Available: 64512 - 1, Ports: []Port{
		{Port: 60, Holders: []netip.Addr{mvs1.XCF, mvs2.XCF}}, {Port: 5000, Unique: true, Holders: []netip.Addr{mvs2.XCF}}, {Port: 5001},
	}}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	dvipas, err := f.DVIPAs()
	must(t, err)
	if diff := cmp.Diff([]netip.Addr{dvipa4, dvipa6}, dvipas, compare); diff != "" {
		t.Error(diff)
	}
	clean(t, f)
	must(t, two.Leave())
	if got := snapshot(t, f, dvipa6); len(got.Ports) != 2 {
		t.Errorf("after MVS2 left: %+v", got.Ports)
	}
	clean(t, f)
}

func TestMembersLiveAsLongAsTheirLocks(t *testing.T) {
	t.Parallel()
	f, one, two := scene(t)
	must(t, one.Take(dvipa4, 5000, true))
	must(t, one.Die())
	members, err := f.Members()
	must(t, err)
	if len(members) != 2 || members[0].XCF != mvs1.XCF || members[0].Alive || !members[1].Alive || members[1].State != layout.SlotLive {
		t.Errorf("members %+v, want MVS1 dead and MVS2 alive", members)
	}
	again, err := Join(f.Path(), mvs1)
	must(t, err)
	if again.Slot() != one.Slot() {
		t.Errorf("MVS1 has slot %d, want its old one, %d", again.Slot(), one.Slot())
	}
	must(t, again.Leave())
	clean(t, f)
	must(t, two.Leave())
}

// Wherever an update stops, the next one to look completes it.
func TestInterruptedUpdates(t *testing.T) {
	t.Parallel()
	f, one, _ := scene(t)
	for stores := 1; stores <= 7; stores++ {
		must(t, one.Interrupt(dvipa4, 5000, true, stores))
		if port, _ := snapshot(t, f, dvipa4).Port(5000); !port.Unique || len(port.Holders) != 1 {
			t.Errorf("taken with %d stores: %+v", stores, port)
		}
		clean(t, f)
		must(t, one.InterruptFree(dvipa4, 5000, 0, stores))
		if port, used := snapshot(t, f, dvipa4).Port(5000); used {
			t.Errorf("freed with %d stores: %+v", stores, port)
		}
		clean(t, f)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	f, one, _ := scene(t)
	release, err := one.Hold(dvipa4)
	must(t, err)
	if err := f.setLock(layout.EntryOffset(0), unix.F_WRLCK); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("lock of an entry that is held: %v", err)
	}
	must(t, one.Take(dvipa6, 60, false)) // another entry
	must(t, release())
	must(t, one.Take(dvipa4, 60, false))
}

func TestDamage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		damage func(f *File) error
		look   func(f *File) error
		want   string
	}{
		{"version", func(f *File) error { return f.SetVersion(2) }, func(f *File) error { _, err := f.Header(); return err }, "version 2"},
		{"header", (*File).CorruptHeader, func(f *File) error { _, err := f.Header(); return err }, "checksum"},
		{"truncated", func(f *File) error { return f.Truncate(100) }, func(f *File) error { _, err := f.Header(); return err }, "ends before"},
		{"entry", func(f *File) error { return f.CorruptEntry(dvipa6) }, func(f *File) error { _, err := f.Snapshot(dvipa6); return err }, "state"},
	} {
		f, _, _ := scene(t)
		must(t, test.look(f))
		must(t, test.damage(f))
		if err := test.look(f); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	f, _, _ := scene(t)
	must(t, f.CorruptAvailability(dvipa4, 100))
	defects, err := f.Audit()
	must(t, err)
	if len(defects[dvipa4]) != 64 || len(defects[dvipa6]) != 0 {
		t.Errorf("audit finds %v", defects)
	}
	must(t, f.Unlink())
	if _, err := Open(f.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}
