package workload

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

const patience = 5 * time.Second

var (
	one, two, three = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")
	begin           = time.Unix(1000, 0)
)

// weights are those after the systems have reported the same load for so long that it counts whole.
func weights(loads map[netip.Addr]uint32, targets ...contract.Target) map[netip.Addr]uint32 {
	m := NewManager(patience)
	for xcf, load := range loads {
		m.Report(xcf, begin, 2000, load)
	}
	m.Level(begin)
	return m.Weights(targets)
}

func target(xcf netip.Addr, weight uint32) contract.Target {
	return contract.Target{XCF: xcf, Weight: weight}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		loads   map[netip.Addr]uint32
		targets []contract.Target
		want    map[netip.Addr]uint32
	}{
		{"no targets", map[netip.Addr]uint32{one: 0}, nil, map[netip.Addr]uint32{}},
		{"nobody reports", nil, []contract.Target{target(one, 3), target(two, 0)}, map[netip.Addr]uint32{one: 3, two: 1}},
		{"all idle", map[netip.Addr]uint32{one: 0, two: 0}, []contract.Target{target(one, 1), target(two, 1)}, map[netip.Addr]uint32{one: 1, two: 1}},
		{"about idle", map[netip.Addr]uint32{one: 0, two: 190}, []contract.Target{target(one, 1), target(two, 1)}, map[netip.Addr]uint32{one: 1, two: 1}},
		{"all at their end", map[netip.Addr]uint32{one: 2000, two: 2000}, []contract.Target{target(one, 1), target(two, 1)}, map[netip.Addr]uint32{one: 1, two: 1}},
		{"one at its end", map[netip.Addr]uint32{one: 2000, two: 0}, []contract.Target{target(one, 1), target(two, 1)}, map[netip.Addr]uint32{one: 1, two: 16}},
		{"half", map[netip.Addr]uint32{one: 1155, two: 0}, []contract.Target{target(one, 1), target(two, 1)}, map[netip.Addr]uint32{one: 8, two: 16}},
		{"half of three times", map[netip.Addr]uint32{one: 1155, two: 0}, []contract.Target{target(one, 3), target(two, 1)}, map[netip.Addr]uint32{one: 24, two: 16}},
		{"one does not report", map[netip.Addr]uint32{one: 1155, two: 0}, []contract.Target{target(one, 1), target(three, 5)}, map[netip.Addr]uint32{one: 8, three: 80}},
		{"no more than the most", map[netip.Addr]uint32{one: 2000, two: 0}, []contract.Target{target(one, 1), target(two, contract.MaxWeight)}, map[netip.Addr]uint32{one: 1, two: contract.MaxWeight}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, weights(c.loads, c.targets...), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("want (-) got (+):\n%s", diff)
			}
		})
	}
}

// A target that has more to give never gets less, whatever came before.
func TestMoreRoomNeverMeansLess(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := NewManager(patience)
		for range 20 {
			busy := random.Uint32N(2001)
			free := random.Uint32N(busy + 1)
			m.Report(one, begin, 2000, busy)
			m.Report(two, begin, 2000, free)
			m.Report(three, begin, 4000, random.Uint32N(4001))
			m.Level(begin)
			got := m.Weights([]contract.Target{target(one, 1), target(two, 1), target(three, 1)})
			for xcf, w := range got {
				if w < 1 || w > Levels {
					t.Fatalf("%s has weight %d, want 1 to %d", xcf, w, Levels)
				}
			}
			if got[two] < got[one] {
				t.Fatalf("weight %d with a load of %d, %d with %d", got[two], free, got[one], busy)
			}
		}
	}
}

// A load that wavers by less than one level changes nothing, once it has come to rest: the first level is
// rounded, and may lie beside that place.
func TestWeightsDoNotFlap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	const capacity, step = 1 << 20, alike * (1 + reserve) * (1 << 20) / Levels
	for range 200 {
		m := NewManager(patience)
		m.Report(one, begin, capacity, 0)
		middle := step + random.Float64()*(capacity-2*step)
		changes := -1
		var last uint32
		for range 300 {
			// The farthest values are the hardest.
			m.Report(two, begin, capacity, uint32(middle+0.49*step*float64(2*random.IntN(2)-1)))
			m.Level(begin)
			if next := m.Weights([]contract.Target{target(one, 1), target(two, 1)})[two]; next != last {
				changes++
				last = next
			}
		}
		if changes > 1 {
			t.Fatalf("a load of %.0f out of %d, wavering by less than %.0f, made %d changes", middle, capacity, step, changes)
		}
	}
}

// A system that was busy comes back to all its share.
func TestASystemRecovers(t *testing.T) {
	t.Parallel()
	m := NewManager(patience)
	targets := []contract.Target{target(one, 1), target(two, 1)}
	for second := range 20 {
		at := begin.Add(time.Duration(second) * time.Second)
		load := uint32(2000)
		if second >= 10 {
			load = 0
		}
		m.Report(one, at, 2000, load)
		m.Report(two, at, 2000, 0)
		m.Level(at)
	}
	if got := m.Weights(targets); got[one] != 1 || got[two] != 1 {
		t.Errorf("weights %v after it is idle again, want 1 each", got)
	}
}

func TestReportsThatEnd(t *testing.T) {
	t.Parallel()
	m := NewManager(patience)
	targets := []contract.Target{target(one, 7), target(two, 7)}
	static := map[netip.Addr]uint32{one: 7, two: 7}
	report := func(at time.Time) {
		m.Report(one, at, 2000, 2000)
		m.Report(two, at, 2000, 0)
		m.Level(at)
		if got := m.Weights(targets); got[one] >= got[two] {
			t.Errorf("weights %v, want less for the busy one", got)
		}
	}
	report(begin)
	m.Report(two, begin.Add(patience+1), 2000, 0)
	m.Level(begin.Add(patience + 1))
	if diff := cmp.Diff(static, m.Weights(targets), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("after its report is old, want (-) got (+):\n%s", diff)
	}
	report(begin)
	m.Lost(one)
	m.Level(begin)
	if diff := cmp.Diff(static, m.Weights(targets), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("after it is lost, want (-) got (+):\n%s", diff)
	}
}
