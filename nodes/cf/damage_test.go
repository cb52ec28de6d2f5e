package cf

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// scribble writes bytes that are nothing over a part of the file.
func scribble(t testing.TB, path string, offset int64, length int) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte(strings.Repeat("\xa5", length)), offset); err != nil {
		t.Fatal(err)
	}
}

// state is what a stack says of the facility.
func state(t testing.TB, f *File) State {
	t.Helper()
	v, err := f.View(background)
	if err != nil {
		t.Fatal(err)
	}
	return v.State
}

// Whatever happens to the file as a whole, binds fail with an error that says so and what to do; once it
// is removed, the stacks make it anew with all that they hold.
func TestALostOrDamagedFile(t *testing.T) {
	t.Parallel()
	truncate := func(length int64) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.Truncate(path, length); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, path string)
		want   string // in the error; none for a file that is lost
	}{
		{"removed", func(*testing.T, string) {}, ""},
		{"empty", truncate(0), "it is 0 bytes long"},
		{"truncated", truncate(portfile.EntryOffset(0) + 5), "bytes long"},
		{"longer", truncate(portfile.FileSize + 1), "bytes long"},
		{"version", func(t *testing.T, path string) { scribble(t, path, 8, 1) }, "version 165"},
		{"header", func(t *testing.T, path string) { scribble(t, path, 40, 20) }, "checksum"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			one, two := open(t, config(path, 1)), open(t, config(path, 2))
			three := newPuppet(t, config(path, 3))
			mustBind(t, one, dvipa4, 60, Shared)
			mustBind(t, two, dvipa4, 60, Shared)
			mustBind(t, one, dvipa4, 5000, Unique)
			mustBind(t, one, dvipa4, 5001, Unique)
			mustBind(t, two, dvipa6, 5000, Unique)
			three.say("bind 6000")
			three.expect("6000")
			if test.name == "removed" { // one knows nothing of what others mark for it
				if _, err := two.Mark(background, dvipa6, xcf(1), []Held{{7000, Unique}}); err != nil {
					t.Fatal(err)
				}
			}
			test.damage(t, path)
			if test.want != "" {
				var err error
				eventually(t, "degraded", func() bool { _, err = bind(one, dvipa4, 60, Shared); return err != nil })
				if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "remove the file") {
					t.Errorf("bind: %v, want it to say %q and what to do", err, test.want)
				}
				// What is given back meanwhile is not registered again.
				eventually(t, "release without the file", func() bool {
					freed, err := one.Release(background, dvipa4, []Release{{Port: 5001}}, nil)
					return err == nil && slices.Equal(freed, []uint16{5001})
				})
				// A stack that starts is degraded as well, not dead.
				if late := open(t, config(path, 4)); state(t, late) != Degraded {
					t.Errorf("a stack that starts says %v", state(t, late))
				}
			} else {
				release(t, one, dvipa4, Release{Port: 5001})
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			eventually(t, "all is settled again", func() bool {
				v, err := one.View(background)
				return err == nil && v.State == OK && len(v.Members) >= 3 && state(t, two) == OK && len(v.DVIPAs) == 2
			})
			held := map[string][]string{}
			for _, d := range view(t, two).DVIPAs {
				for _, port := range d.Ports {
					held[d.DVIPA.String()] = append(held[d.DVIPA.String()], strings.Join(port.Holders, "+"))
				}
			}
			want := map[string][]string{"44.0.0.10": {"MVS1+MVS2", "MVS1", "MVS3"}, "2001:db8::10": {"MVS2"}}
			if test.name == "removed" {
				want["2001:db8::10"] = append(want["2001:db8::10"], "MVS1")
			}
			for dvipa, holders := range want {
				if !slices.Equal(sortedEach(held[dvipa]), holders) {
					t.Errorf("%s is held by %v, want %v", dvipa, held[dvipa], holders)
				}
			}
			mustBind(t, two, dvipa4, 5001, Unique)
			if test.name == "removed" {
				if len(one.Replaced()) > 0 {
					t.Error("told that a damaged file was replaced")
				}
			} else {
				eventually(t, "told that a damaged file was replaced", func() bool { return len(one.Replaced()) > 0 })
			}
		})
	}
}

// records are the lines of a log.
type records struct {
	mu    sync.Mutex
	lines []string
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(b))
	return len(b), nil
}

func (r *records) with(part string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// The log says once that the file cannot be used, and once that it can be again.
func TestTheLogTellsOfRelief(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	var log records
	c := config(path, 1)
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	f, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	open(t, config(path, 2))
	eventually(t, "settled", func() bool { return state(t, f) == OK && len(view(t, f).Members) == 2 })
	if n := log.with("usable again"); n != 0 {
		t.Errorf("a file without trouble is told to be usable again %d times", n)
	}
	for trouble := 1; trouble <= 2; trouble++ {
		scribble(t, path, 40, 20)
		eventually(t, "degraded", func() bool { return state(t, f) == Degraded })
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want := "port file " + path + " is usable again: filled from 2 stacks"
		eventually(t, "told to be usable again", func() bool { return log.with(want) == trouble })
		if cannot := log.with("cannot be used"); cannot != trouble {
			t.Errorf("told %d times that it cannot be used, want %d", cannot, trouble)
		}
	}
}

// A file that is removed with damage that nobody has noticed, here to its directory, is replaced as a damaged one.
func TestAFileThatIsDamagedAndRemovedAtOnce(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	f := open(t, config(path, 1))
	mustBind(t, f, dvipa4, 5000, Unique)
	scribble(t, path, portfile.RecordOffset(0)+4, 8)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "told that a damaged file was replaced", func() bool { return len(f.Replaced()) > 0 })
	eventually(t, "settled", func() bool { return state(t, f) == OK })
	if _, err := bind(open(t, config(path, 2)), dvipa4, 5000, Unique); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the port of the first stack: %v", err)
	}
}

// sortedEach sorts the names within each; slots of the new file may be in another order.
func sortedEach(holders []string) []string {
	sorted := make([]string, len(holders))
	for i, names := range holders {
		each := strings.Split(names, "+")
		slices.Sort(each)
		sorted[i] = strings.Join(each, "+")
	}
	return sorted
}

// While a stack that held ports has not registered them in the file that was made anew, no port is
// given out.
func TestNoPortIsGivenOutBeforeAllAreRegistered(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	f := open(t, config(path, 1))
	frozen := newPuppet(t, config(path, 2))
	frozen.say("bind 5000")
	frozen.expect("5000")
	eventually(t, "settled", func() bool { return state(t, f) == OK })
	frozen.signal(unix.SIGSTOP)
	frozen.awaitState('T')
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var filling *FillingError
	eventually(t, "the stack is waited for", func() bool {
		_, err := f.Claim(background, Request{DVIPA: dvipa4, Port: 5000, Use: Unique})
		return errors.As(err, &filling) && errors.Is(err, unix.EAGAIN) && slices.Equal(filling.Waiting, []string{"MVS2 (10.1.0.2)"})
	})
	if got := state(t, f); got != Filling {
		t.Errorf("state %v, want filling", got)
	}
	frozen.signal(unix.SIGCONT)
	eventually(t, "settled", func() bool { return state(t, f) == OK })
	if _, err := bind(f, dvipa4, 5000, Unique); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the port of the stack that was frozen: %v", err)
	}
	view(t, f)

	// One that ends meanwhile is not waited for.
	frozen.signal(unix.SIGSTOP)
	frozen.awaitState('T')
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stack is waited for", func() bool { return state(t, f) == Filling })
	frozen.kill()
	mustBind(t, f, dvipa4, 5000, Unique)
	view(t, f)
}

// A damaged entry costs its DVIPA alone.
func TestACorruptEntry(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	f := open(t, config(path, 1))
	mustBind(t, f, dvipa4, 5000, Unique)
	mustBind(t, f, dvipa6, 5000, Unique)
	scribble(t, path, portfile.EntryOffset(0), 40)
	late := open(t, config(path, 2))
	for _, one := range []*File{f, late} {
		_, err := bind(one, dvipa4, 0, Unique)
		if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "entry of 44.0.0.10") {
			t.Errorf("bind to the damaged entry: %v", err)
		}
		mustBind(t, one, dvipa6, 0, Unique)
	}
	v, err := f.View(background)
	if err != nil || v.State != OK || v.DVIPAs[0].Problem == "" || v.DVIPAs[1].Problem != "" {
		t.Errorf("view %+v, error %v", v, err)
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what the other held is taken back", func() bool {
		v, _ := f.View(background)
		return len(v.Members) == 1
	})

	// A port that is unavailable and nobody's is damage as well.
	scribble(t, path, portfile.EntryOffset(1)+portfile.AvailableOffset+125, 1)
	if _, err := bind(f, dvipa6, 1001, Unique); !errors.Is(err, unix.EIO) {
		t.Errorf("bind to a port that is nobody's and unavailable: %v", err)
	}
	if v, _ := f.View(background); len(v.DVIPAs[1].Findings) == 0 {
		t.Error("the audit finds nothing")
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bind to what was damaged", func() bool { _, err := bind(f, dvipa4, 0, Unique); return err == nil })
	if got := len(view(t, f).DVIPAs); got != 2 {
		t.Errorf("%d DVIPAs in the new file, want 2", got)
	}
}

// fullVariable marks the copy of the test binary that has a mount namespace of its own.
const fullVariable = "PLEXLAB_CF_TEST_FULL"

func TestAFullDisk(t *testing.T) {
	if os.Getenv(fullVariable) == "" {
		t.Parallel()
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestAFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), fullVariable+"=yes")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("with a full disk: %v\n%s", err, output)
		}
		return
	}
	mount := func(size string) (path string) {
		dir := t.TempDir()
		if err := unix.Mount("full", dir, "tmpfs", 0, "size="+size); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		return filepath.Join(dir, "ports")
	}
	fails := func(f *File, dvipa string, err error) {
		t.Helper()
		if !errors.As(err, new(*DamagedError)) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s without room: %v, want ENOSPC", dvipa, err)
		}
	}

	// No room for the file.
	path := mount("32k")
	f := open(t, config(path, 1))
	_, err := bind(f, dvipa4, 0, Unique)
	fails(f, "file", err)
	if err := unix.Mount("", filepath.Dir(path), "", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room now", func() bool { return state(t, f) != Degraded })
	mustBind(t, f, dvipa4, 0, Unique)

	// No room for an entry, or for what another stack uses of one; the others go on.
	path = mount("400k")
	one, two := open(t, config(path, 1)), open(t, config(path, 2))
	mustBind(t, one, dvipa4, 5000, Unique)
	_, err = bind(one, dvipa6, 0, Unique)
	fails(one, "entry", err)
	filler, err := os.Create(filepath.Join(filepath.Dir(path), "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	_, err = bind(two, dvipa4, 0, Unique)
	fails(two, "usage", err)
	mustBind(t, one, dvipa4, 5001, Unique)
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	filler.Close()
	mustBind(t, two, dvipa4, 0, Unique)
	view(t, one)
}

// A mapping whose pages are gone is an error, not the end of the process, at every step of a claim.
func TestPagesThatAreGone(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	c := config(path, 1)
	c.Check = patience / 20
	f := open(t, c)
	mustBind(t, f, dvipa4, 5000, Unique)
	claim, err := f.Claim(background, Request{DVIPA: dvipa4, Port: 5001, Use: Unique})
	if err != nil {
		t.Fatal(err)
	}
	m := f.current.Load()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := claim.Commit(); !errors.Is(err, unix.EIO) {
		t.Errorf("commit: %v, want EIO", err)
	}
	if err := m.lockEntry(background, 0, func() error { return nil }); !errors.Is(err, unix.EIO) {
		t.Errorf("lock: %v, want EIO", err)
	}
	if _, err := m.member(0); !errors.Is(err, unix.EIO) {
		t.Errorf("member: %v, want EIO", err)
	}
}

// An entry whose parts contradict one another about a port gives that one to nobody.
func TestAnEntryThatContradictsItself(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		taken  bool   // port 2000 is held
		damage uint64 // of the availability bits of ports 1984 to 2047
	}{
		{"available though held", true, ^uint64(0)},
		{"unavailable though not held", false, ^uint64(1 << (2000 % 64))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			c := config(path, 1)
			c.Pool = contract.PortRange{First: 2000, Last: 2001}
			one, two := open(t, c), open(t, config(path, 2))
			if err := one.Activate(dvipa4); err != nil {
				t.Fatal(err)
			}
			if test.taken {
				mustBind(t, one, dvipa4, 2000, Unique)
			}
			m := one.current.Load()
			i, err := m.lockDVIPA(t.Context(), dvipa4, one.pool(), func(i int) error {
				m.entry(i).store(portfile.Store{Offset: portfile.AvailableOffset + 2000/64*8, Value: test.damage})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			m.unlockEntry(i)
			var damaged *DamagedError
			if port, err := bind(two, dvipa4, 2000, Unique); !errors.As(err, &damaged) {
				t.Errorf("claim of port 2000: %d, error %v, want that the entry is damaged", port, err)
			}
			if port := mustBind(t, two, dvipa4, 2001, Unique); port != 2001 {
				t.Errorf("port %d, want 2001", port)
			}
			if port, err := bind(two, dvipa4, 0, Unique); err == nil {
				t.Errorf("port 0 is answered by %d", port)
			}
		})
	}
}
