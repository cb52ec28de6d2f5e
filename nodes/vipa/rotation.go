package vipa

import "github.com/plexlab-dev/plexlab/nodes/contract"

// MaxRotation bounds the length of a Rotation: the verdict map of one DPT entry has at most
// so many elements (or one for each target, where there are more targets than that).
const MaxRotation = 1024

// Rotation is the order in which block 144 selects: a sequence of indexes into targets that
// is repeated for ever. It is smooth weighted round robin, so that a target's turns are spread
// over the sequence; with equal weights it is plain round robin in the order of targets.
//
// Weights are divided by their greatest common divisor; the length is then their sum. Where
// the sum passes MaxRotation every target gets one turn and, of the turns that are left, its
// share rounded down. No targets, no sequence.
func Rotation(targets []contract.Target) []int {
	weights, total := turns(targets)
	sequence := make([]int, 0, total)
	credit := make([]int, len(targets))
	for range total {
		best := 0
		for i, w := range weights {
			credit[i] += w
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		sequence = append(sequence, best)
	}
	return sequence
}

// turns is how often each target comes up in one round, and the length of the round.
func turns(targets []contract.Target) (each []int, total int) {
	var sum, divisor uint64
	for _, t := range targets {
		w := uint64(weight(t))
		sum += w
		divisor = gcd(divisor, w)
	}
	each = make([]int, len(targets))
	scaled := sum > MaxRotation*divisor
	spare := uint64(max(0, MaxRotation-len(targets)))
	for i, t := range targets {
		w := uint64(weight(t))
		if scaled {
			each[i] = 1 + int(w*spare/sum)
		} else {
			each[i] = int(w / divisor)
		}
		total += each[i]
	}
	return each, total
}

// weight reads a weight of zero as the contract does.
func weight(t contract.Target) uint32 { return max(t.Weight, 1) }

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
