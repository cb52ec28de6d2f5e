package capture

import (
	"testing"
	"time"
)

// What came just before Stop is recorded, though the kernel hands it over late, and Stop waits for nothing else.
func TestStopWaitsForWhatArrivedAndNoLonger(t *testing.T) {
	const late = time.Second
	w := newWire(t)
	slow, err := Start("", Source{Name: "far", Socket: w.far.PacketSocket(), Late: late})
	if err != nil {
		t.Fatal(err)
	}
	w.send(t, 7)
	if _, err := w.On("far").Await(within(t), seq(7)); err != nil { // the other capture of the same interface
		t.Fatal(err)
	}
	begin := time.Now()
	if err := slow.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 3*late {
		t.Errorf("stopped after %v, want it once the packet is handed over, %v at most", took, late)
	}
	if n := len(slow.On("far").Matching(seq(7))); n != 1 {
		t.Errorf("%d packets recorded that arrived before Stop, want 1", n)
	}

	idle, err := Start("", Source{Name: "near", Socket: w.near.PacketSocket(), Late: late})
	if err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	if err := idle.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > late {
		t.Errorf("stopped after %v where nothing had arrived", took)
	}
}

// A capture ends at one moment on all its interfaces: who compares what came in with what went out need not know which of
// them was ended first.
func TestStopIsOneMoment(t *testing.T) {
	w := newWire(t)
	for range 20 {
		c, err := Start("", Source{Name: "near", Socket: w.near.PacketSocket()}, Source{Name: "far", Socket: w.far.PacketSocket()})
		if err != nil {
			t.Fatal(err)
		}
		stop, stopped := make(chan bool), make(chan bool)
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					w.send(t, 7)
				}
			}
		}()
		if _, err := c.On("far").Await(within(t), seq(7)); err != nil {
			t.Fatal(err)
		}
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		close(stop)
		<-stopped
		for _, p := range c.All().Packets() {
			if p.Time.After(c.end) {
				t.Fatalf("recorded, though the capture ended at %s: %v", c.end.Format(time.StampMicro), p)
			}
		}
	}
}
