package claimer

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

var dvipa = netip.MustParseAddr("44.0.0.10")

// start is the claimer of stack n of a plex whose pool is 49152 to 49351.
func start(t *testing.T, path string, n byte) *Claimer {
	t.Helper()
	xcf := netip.AddrFrom4([4]byte{10, 1, 0, n})
	f, err := cf.Open(cf.Config{
		Path: path, Plex: "PLEX1", Self: contract.Member{Stack: "MVS" + string('0'+n), XCF: xcf, Incarnation: 1},
		Pool: contract.PortRange{First: 49152, Last: 49351}, Rest: time.Nanosecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c := &Claimer{Facility: f, XCF: xcf}
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func portFile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "plexlab-claimer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "ports")
}

// held are the ports of the DVIPA that are in use, by number of holders.
func held(t *testing.T, c *Claimer) map[uint16]int {
	t.Helper()
	view, err := c.Facility.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ports := map[uint16]int{}
	for _, d := range view.DVIPAs {
		for _, p := range d.Ports {
			if len(p.Holders) > 0 {
				ports[p.Port] = len(p.Holders)
			}
		}
	}
	return ports
}

func TestCycleLeavesNothing(t *testing.T) {
	t.Parallel()
	c := start(t, portFile(t), 1)
	for _, timed := range []bool{false, true} {
		answer, err := c.Do(t.Context(), claimer.Job{Do: claimer.Cycle, DVIPA: dvipa, For: 10 * time.Millisecond, Timed: timed})
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		for _, n := range answer.Took {
			counted += n
		}
		if want := answer.Operations / 2; answer.Operations < 2 || timed && counted != want || !timed && counted != 0 {
			t.Errorf("%d operations, %d times (timed: %v)", answer.Operations, counted, timed)
		}
	}
	if ports := held(t, c); len(ports) != 0 {
		t.Errorf("ports %v are held still", ports)
	}
}

func TestTwoHoldTheWholePool(t *testing.T) {
	t.Parallel()
	path := portFile(t)
	first, second := start(t, path, 1), start(t, path, 2)
	holder := map[uint16]*Claimer{}
	for _, c := range []*Claimer{first, second} {
		answer, err := c.Do(t.Context(), claimer.Job{Do: claimer.Hold, DVIPA: dvipa})
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range answer.Ports {
			if holder[port] != nil {
				t.Errorf("port %d was given twice", port)
			}
			holder[port] = c
		}
	}
	if len(holder) != 200 || len(held(t, first)) != 200 {
		t.Errorf("%d ports were taken, %d are held, of a pool of 200", len(holder), len(held(t, first)))
	}
	for _, c := range []*Claimer{first, second} {
		if _, err := c.Do(t.Context(), claimer.Job{Do: claimer.Release, DVIPA: dvipa}); err != nil {
			t.Error(err)
		}
	}
	if ports := held(t, first); len(ports) != 0 {
		t.Errorf("ports %v are held still", ports)
	}
}

func TestTwoChurnApart(t *testing.T) {
	t.Parallel()
	path := portFile(t)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	ended := make(chan error, 2)
	for n := range byte(2) {
		c := start(t, path, n+1)
		go func() {
			_, err := c.Do(ctx, claimer.Job{Do: claimer.Churn, DVIPA: netip.AddrFrom4([4]byte{44, 0, 0, n})})
			ended <- err
		}()
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("churn ended with %v, want only the end of its time", err)
		}
	}
}

func TestUnknownWork(t *testing.T) {
	t.Parallel()
	if _, err := (&Claimer{}).Do(t.Context(), claimer.Job{Do: "fly"}); err == nil {
		t.Error("no error")
	}
}
