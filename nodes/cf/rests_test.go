package cf

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Peers of connections do not forget them with the file: what rested in it rests in the next one, also what
// was given back when there was none.
func TestRestsGoOnInAFileMadeAnew(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string){
		"removed": func(*testing.T, string) {},
		"header":  func(t *testing.T, path string) { scribble(t, path, 40, 20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			one, two := open(t, config(path, 1)), open(t, config(path, 2))
			for port := uint16(5000); port <= 5002; port++ {
				mustBind(t, one, dvipa4, port, Unique)
			}
			release(t, one, dvipa4, Release{Port: 5000, Rest: true})
			release(t, one, dvipa4, Release{Port: 5001, Rest: true})
			mustBind(t, two, dvipa4, 5001, Unique) // has taken one again, by its number
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, path)
			giveBack := func() {
				for f, r := range map[*File]Release{one: {Port: 5002, Rest: true}, two: {Port: 5001}} {
					eventually(t, "given back", func() bool {
						freed, err := f.Release(background, dvipa4, []Release{r}, nil)
						return err == nil && len(freed) == 1
					})
				}
			}
			if name != "removed" {
				eventually(t, "degraded", func() bool { return state(t, one) == Degraded && state(t, two) == Degraded })
				giveBack()
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if name == "removed" {
				giveBack() // while the next one is made, or before that is noticed
			}
			eventually(t, "5000, 5001 and 5002 rest in the next file", func() bool {
				v, err := one.View(background)
				var resting []uint16
				for _, d := range v.DVIPAs {
					for _, port := range d.Ports {
						if port.Rest > DefaultRest/2 && len(port.Holders) == 0 {
							resting = append(resting, port.Port)
						}
					}
				}
				next, missing := os.Stat(path)
				return err == nil && missing == nil && !os.SameFile(before, next) && v.State == OK && slices.Equal(resting, []uint16{5000, 5001, 5002})
			})
		})
	}
}

// resting are the ports of dvipa4 that rest and that nobody holds.
func resting(t testing.TB, f *File) (ports []uint16) {
	t.Helper()
	v, err := f.View(background)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range v.DVIPAs {
		for _, port := range d.Ports {
			if d.DVIPA == dvipa4 && port.Rest > DefaultRest/2 && len(port.Holders) == 0 {
				ports = append(ports, port.Port)
			}
		}
	}
	return ports
}

// The ports of a stack that is gone rest in the next file too, by what the others know of them, whoever took
// them back.
func TestRestsOfADeadStackGoOn(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string){
		"removed": func(*testing.T, string) {},
		"header":  func(t *testing.T, path string) { scribble(t, path, 40, 20) },
		"truncated": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			one, two := open(t, config(path, 1)), open(t, config(path, 2))
			dead := newPuppet(t, config(path, 3))
			dead.say("bind 5000")
			dead.expect("5000")
			dead.kill()
			for _, f := range []*File{one, two} {
				eventually(t, "its ports are taken back", func() bool { return f.Reclaim(background, dead.config.Self) == nil })
			}
			damage(t, path)
			if name != "removed" {
				eventually(t, "degraded", func() bool { return state(t, one) == Degraded && state(t, two) == Degraded })
			}
			// Either of them is enough.
			if err := one.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			eventually(t, "5000 rests in the next file", func() bool {
				return state(t, two) == OK && slices.Equal(resting(t, two), []uint16{5000})
			})
		})
	}
}

// A stack that ends, and whose ports have not been taken back when the file is removed, or that ends while the next
// one waits for it.
func TestRestsOfAStackThatEndsWithTheFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"before", "after"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			f := open(t, config(path, 1))
			dead := newPuppet(t, config(path, 2))
			dead.say("bind 5000")
			dead.expect("5000")
			eventually(t, "settled", func() bool { return state(t, f) == OK })
			if name == "before" {
				holder, err := openMapping(&f.config, &f.book)
				if err != nil {
					t.Fatal(err)
				}
				defer holder.close()
				if err := tryLock(holder.locks.fd, portfile.EntryOffset(0)); err != nil {
					t.Fatal(err)
				}
				dead.kill()
			} else {
				dead.signal(unix.SIGSTOP)
				dead.awaitState('T')
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if name == "after" {
				eventually(t, "the stack is waited for", func() bool { return state(t, f) == Filling })
				dead.kill()
			}
			eventually(t, "5000 rests in the next file", func() bool {
				return state(t, f) == OK && slices.Equal(resting(t, f), []uint16{5000})
			})
		})
	}
}
