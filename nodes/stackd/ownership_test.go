package main

import (
	"net/netip"
	"slices"
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
	ended   []uint64
}

func (e *epochs) Acquire(_ netip.Addr, after uint64) (uint64, error) {
	e.current, e.owner = after+1, e.own
	return e.current, nil
}
func (e *epochs) Current(netip.Addr) (uint64, contract.Member, error) {
	return e.current, e.owner, nil
}
func (e *epochs) Wait(netip.Addr, uint64, uint64) time.Duration { return 0 }
func (e *epochs) Ended(_ netip.Addr, epoch uint64) error {
	e.ended = append(e.ended, epoch)
	return nil
}
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

// An epoch that was taken and is not kept is given back, and not the one that was taken since.
func TestAnEpochThatIsNotKept(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("192.168.44.10")
	own := contract.Member{Stack: "MVS1"}
	owners := &epochs{own: own}
	o := newOwnership(&ownership{
		owners: owners, lives: func(contract.Member) bool { return true },
		unsure: func() bool { return false }, informed: func() bool { return true },
		post: func(vipa.Event) {},
	})
	for after := range uint64(2) {
		o.ask(vipa.TakeOwnership{DVIPA: address, After: after})
		o.work()
	}
	if err := o.end(address, 1); err != nil || !o.holds(address) {
		t.Errorf("after the end of the epoch before: %v, holds %v, want true", err, o.holds(address))
	}
	if err := o.end(address, 2); err != nil || o.holds(address) {
		t.Errorf("after its end: %v, holds %v, want false", err, o.holds(address))
	}
	if want := []uint64{1, 2}; !slices.Equal(owners.ended, want) {
		t.Errorf("epochs %v given back, want %v", owners.ended, want)
	}
}
