package probe_test

import (
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/harness/bench/probe"
	"github.com/plexlab-dev/plexlab/harness/portfile"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

func TestBinderTellsHowLongEachBindTook(t *testing.T) {
	binder := start(t, probe.Binder)
	answer := binder("bind 127.0.0.1:0 3")
	if answer.Error != "" || len(answer.Took) != 3 {
		t.Errorf("three binds: %+v", answer)
	}
	for command, want := range map[string]string{
		"bind 127.0.0.1:0":      "unknown command",
		"bind nowhere 1":        "bind: ",
		"bind 127.0.0.1:0 x":    "bind: ",
		"bind 198.51.100.1:0 1": "bind 198.51.100.1:0: cannot assign",
	} {
		if got := binder(command); !strings.HasPrefix(got.Error, want) {
			t.Errorf("%s: got error %q, want %q", command, got.Error, want)
		}
	}
}

func TestLockerLocksTheEntry(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "plexlab-probe-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, dvipa := filepath.Join(dir, "ports"), netip.MustParseAddr("44.0.0.10")
	if err := portfile.Create(path, "PLEX1"); err != nil {
		t.Fatal(err)
	}
	peer, err := portfile.Join(path, contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Die()
	if err := peer.Activate(dvipa, contract.PortRange{First: 1024, Last: 65535}); err != nil {
		t.Fatal(err)
	}
	in, jobs := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- probe.Locker(path, in, out) }()
	encoder, decoder := json.NewEncoder(jobs), json.NewDecoder(answers)
	answer := func() (a claimer.Answer) {
		t.Helper()
		if err := decoder.Decode(&a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	ask := func(job claimer.Job) claimer.Answer {
		t.Helper()
		if err := encoder.Encode(job); err != nil {
			t.Fatal(err)
		}
		return answer()
	}
	answer()
	cycle := claimer.Job{Do: claimer.Cycle, DVIPA: dvipa, For: time.Millisecond}
	if a := ask(cycle); a.Error != "" || a.Operations == 0 {
		t.Errorf("cycle: %+v", a)
	}
	// While another has the lock of the entry there is no pair of lock and unlock.
	release, err := peer.Hold(dvipa)
	if err != nil {
		t.Fatal(err)
	}
	if err := encoder.Encode(cycle); err != nil {
		t.Fatal(err)
	}
	answered := make(chan claimer.Answer)
	go func() {
		var a claimer.Answer
		_ = decoder.Decode(&a) // an answer that cannot be read counts no operations
		answered <- a
	}()
	select {
	case a := <-answered:
		t.Errorf("a lock that another has was taken: %+v", a)
	case <-time.After(20 * time.Millisecond):
		if err := release(); err != nil {
			t.Fatal(err)
		}
		if a := <-answered; a.Operations == 0 {
			t.Errorf("once it was free: %+v", a)
		}
	}
	for _, job := range []claimer.Job{{Do: claimer.Churn, DVIPA: dvipa}, {Do: claimer.Cycle, DVIPA: netip.MustParseAddr("44.0.0.11")}} {
		if a := ask(job); a.Error == "" {
			t.Errorf("job %+v was carried out", job)
		}
	}
	jobs.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
