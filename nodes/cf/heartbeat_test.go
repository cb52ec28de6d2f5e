package cf

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// peer is what a stack sees of another one, once the file can tell.
func peer(t testing.TB, f *File, n int) (Peer, bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		peers, err := f.Peers()
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			if p.XCF == xcf(n) {
				return p, true
			}
		}
		return Peer{}, false
	}
}

// A stack tells what it sees while it runs; frozen it is silent and alive, killed it is not alive.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	look, two := open(t, config(path, 1)), newPuppet(t, config(path, 2))
	silent, there := peer(t, look, 2)
	want := Peer{Member: contract.Member{Stack: "MVS2", XCF: xcf(2), Incarnation: 1000}, PID: silent.PID, Alive: true}
	if !there || silent.PID == 0 || silent != want {
		t.Errorf("a stack before its first beat: %+v, want %+v", silent, want)
	}
	two.say("beat 3")
	two.expect("beating")
	want.Member.Outside, want.Beats, want.Sees = true, true, 3
	eventually(t, "a stack that runs beats", func() bool {
		p, _ := peer(t, look, 2)
		young := p.Age < portfile.BeatInterval
		p.Age = 0
		return young && p == want
	})
	if _, there := peer(t, look, 1); there {
		t.Error("a stack is its own peer")
	}

	two.signal(unix.SIGSTOP)
	two.awaitState('T')
	begun := time.Now()
	eventually(t, "a frozen stack is alive and silent", func() bool {
		p, there := peer(t, look, 2)
		return there && p.Alive && p.Age > 5*portfile.BeatInterval && p.Age >= time.Since(begun)-portfile.BeatInterval
	})
	two.kill()
	eventually(t, "a stack whose process has ended is not alive, or gone", func() bool {
		p, there := peer(t, look, 2)
		return !there || !p.Alive
	})
	look.Beat(0, false)
	again := newPuppet(t, config(path, 2))
	if p, there := peer(t, look, 2); !there || p.Beats || p.Outside {
		t.Errorf("a stack that has come back and not said anything: %+v", p)
	}
	again.kill()
}

// A file that is lost takes no beat and tells of nobody, and does not end the process.
func TestHeartbeatInALostFile(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two := open(t, config(path, 1)), open(t, config(path, 2))
	two.Beat(1, true)
	if err := unix.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		two.Beat(1, true)
		if _, err := one.Peers(); err == nil {
			t.Fatal("a file that was cut short tells of stacks")
		}
	}
	if err := unix.Unlink(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "beats go into the new file", func() bool {
		two.Beat(2, false)
		p, there := peer(t, one, 2)
		return there && p.Beats && p.Sees == 2 && !p.Outside
	})
}

func BenchmarkBeat(b *testing.B) {
	f := open(b, config(portFilePath(b), 1))
	before := processorTime(b)
	for b.Loop() {
		f.Beat(4, true)
	}
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
