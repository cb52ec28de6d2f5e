package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// epochs are the owners of one DVIPA: the epoch that counts, and who has it.
type epochs struct {
	current uint64
	owner   contract.Member
	own     contract.Member
}

func (e *epochs) Acquire(_ netip.Addr, after uint64) (uint64, error) {
	e.current, e.owner = after+1, e.own
	return e.current, nil
}
func (e *epochs) Current(netip.Addr) (uint64, contract.Member, error) {
	return e.current, e.owner, nil
}
func (e *epochs) Wait(netip.Addr, uint64, uint64) time.Duration { return 0 }
func (e *epochs) Ended(netip.Addr, uint64) error                { return nil }
func (e *epochs) Holds(_ netip.Addr, epoch uint64) bool {
	return epoch == e.current && e.owner == e.own
}

// An owner that is not sure answers for nothing, and is the owner: what it was to advertise meanwhile nobody
// would tell it again.
func TestAnOwnerThatIsNotSureHasLostNothing(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("192.168.44.10")
	own, other := contract.Member{Stack: "MVS1"}, contract.Member{Stack: "MVS5"}
	owners := &epochs{own: own}
	unsure := false
	told := make(chan vipa.Event, 1)
	o := newOwnership(&ownership{
		owners: owners, lives: func(contract.Member) bool { return true },
		unsure: func() bool { return unsure }, informed: func() bool { return true },
		post: func(e vipa.Event) { told <- e },
	})
	heard := func() vipa.Event {
		t.Helper()
		select {
		case event := <-told:
			return event
		case <-time.After(5 * time.Second):
			t.Fatal("the core hears of nothing")
			return nil
		}
	}
	expect := func(when string, holds, lost bool) {
		t.Helper()
		if o.holds(address) != holds || o.lost(address) != lost {
			t.Errorf("%s: holds %v and lost %v, want %v and %v", when, !holds, !lost, holds, lost)
		}
	}
	expect("before", false, true)
	o.ask(vipa.TakeOwnership{DVIPA: address})
	o.work()
	heard()
	expect("as its owner", true, false)
	unsure = true
	expect("unsure", false, false)
	owners.current, owners.owner = 2, other
	expect("unsure and overtaken", false, true)
	if got, is := heard().(vipa.OwnershipRefused); !is || got.Epoch != 2 || got.Owner != other {
		t.Errorf("the core hears of %+v", got)
	}
}
