package main

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// slow are edges whose kernel gets its addresses when somebody has asked for them in vain.
type slow struct {
	recorder
	stack *stack
	told  chan struct{} // has an element when a message has gone out
	asked chan struct{} // closed when somebody has asked for an address
	there atomic.Bool
}

func (e *slow) send(netip.Addr, contract.Message) {
	select {
	case e.told <- struct{}{}:
	default:
	}
}

func (e *slow) published(a *vipa.Addresses) { e.stack.addresses.Store(a) }

func (e *slow) apply(actions []vipa.Action) error {
	<-e.asked
	e.there.Store(true)
	return e.recorder.apply(actions)
}

// An application may bind as soon as anybody was told that the DVIPA is here, which is before it is done.
func TestABindWaitsForWhatIsDecided(t *testing.T) {
	s := &stack{}
	e := &slow{stack: s, told: make(chan struct{}, 1), asked: make(chan struct{})}
	s.loop = start(t, gathered(), e)
	elsewhere := netip.MustParseAddrPort("192.168.44.99:80")
	tries := 0
	bind := func(to netip.AddrPort) (netip.AddrPort, error) {
		if tries++; to != elsewhere && tries == 1 {
			close(e.asked)
		} else if to != elsewhere && e.there.Load() {
			return to, nil
		}
		return netip.AddrPort{}, unix.EADDRNOTAVAIL
	}
	s.loop.post(taken)
	<-e.told // before anything is done
	if local, err := s.perform(netip.AddrPortFrom(dvipa.Addr(), 80), bind); err != nil || local.Port() != 80 {
		t.Errorf("bind to the DVIPA: at %s, %v", local, err)
	}
	tries = 0
	if _, err := s.perform(elsewhere, bind); !errors.Is(err, unix.EADDRNOTAVAIL) || tries != 1 {
		t.Errorf("bind to an address that is not here: %v after %d tries, want %v after one", err, tries, unix.EADDRNOTAVAIL)
	}
}
