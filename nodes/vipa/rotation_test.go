package vipa_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func weights(all ...uint32) []contract.Target {
	var targets []contract.Target
	for _, w := range all {
		targets = append(targets, contract.Target{Weight: w})
	}
	return targets
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		targets []contract.Target
		want    []int
	}{
		{"nobody", nil, []int{}},
		{"one", weights(7), []int{0}},
		{"plain round robin", weights(1, 1, 1), []int{0, 1, 2}},
		{"zero means one", weights(0, 1, 0), []int{0, 1, 2}},
		{"equal weights are reduced", weights(50, 50), []int{0, 1}},
		{"common divisor", weights(20, 10), []int{0, 1, 0}},
		{"turns are spread", weights(5, 1, 1), []int{0, 0, 1, 0, 2, 0, 0}},
	} {
		if diff := cmp.Diff(test.want, vipa.Rotation(test.targets)); diff != "" {
			t.Errorf("%s: Rotation(%v) (-want +got):\n%s", test.name, test.targets, diff)
		}
	}
}

// TestRotationIsBounded: however uneven the weights, every target has its turn, and the
// sequence has no more than MaxRotation of them.
func TestRotationIsBounded(t *testing.T) {
	t.Parallel()
	plex := make([]uint32, 128)
	for i := range plex {
		plex[i] = uint32(i*i*i) + 1
	}
	for _, all := range [][]uint32{
		{1, 1<<32 - 1},
		{1<<32 - 1, 1<<32 - 2, 1},
		{1023, 2},
		plex,
		make([]uint32, 2*vipa.MaxRotation),
	} {
		targets := weights(all...)
		sequence := vipa.Rotation(targets)
		if limit := max(vipa.MaxRotation, len(targets)); len(sequence) > limit {
			t.Errorf("weights %v: %d turns, at most %d", all, len(sequence), limit)
		}
		turns := make([]int, len(targets))
		for _, i := range sequence {
			turns[i]++
		}
		if slices.Contains(turns, 0) {
			t.Errorf("weights %v: turns %v, somebody has none", all, turns)
		}
		for i := range turns {
			for j := range turns {
				if all[i] > all[j] && turns[i] < turns[j] {
					t.Errorf("weights %d and %d: %d and %d turns", all[i], all[j], turns[i], turns[j])
				}
			}
		}
	}
}
