package main

import (
	"context"
	"sync"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// What is asked of the clerk is done when it has settled.
func TestClerkSettles(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for port := uint16(5000); port < 5100; port++ {
		o.ask(vipa.ReleasePorts{DVIPA: dvipa.Addr(), Ports: []vipa.Release{{Port: port}}})
		o.settle(t.Context())
		select {
		case event := <-o.events:
			if released, ok := event.(vipa.PortsReleased); !ok || released.Ports[0] != port {
				t.Fatalf("told %+v, want that %d is released", event, port)
			}
		default:
			t.Fatalf("port %d is not released by the time that the clerk has settled", port)
		}
	}
}

// Who asks while work is under way does not get that of others, and all who wait share one.
func TestSharedWorkBeginsAfterItIsAskedFor(t *testing.T) {
	t.Parallel()
	var s shared
	done := 0 // guarded by the turn
	began, goOn := make(chan struct{}), make(chan struct{})
	work := func() {
		began <- struct{}{}
		<-goOn
		done++
	}
	var first sync.WaitGroup
	first.Go(func() { s.do(t.Context(), work) })
	<-began
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		s.do(impatient, work)
	}
	goOn <- struct{}{}
	first.Wait()
	<-began
	goOn <- struct{}{}
	s.turn.Lock()
	defer s.turn.Unlock()
	if done != 2 {
		t.Errorf("done %d times, want once for the first and once for all others", done)
	}
}
