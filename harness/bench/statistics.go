package bench

import (
	"math"
	"slices"
)

// quantile returns the q-quantile (0 to 1) of samples by linear interpolation between the two
// closest ranks, as R's default (type 7) does. samples is not empty and is left as it is.
func quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	rank := q * float64(len(sorted)-1)
	low := math.Floor(rank)
	below, above := sorted[int(low)], sorted[int(math.Ceil(rank))]
	return below + (rank-low)*(above-below)
}

func median(samples []float64) float64 { return quantile(samples, 0.5) }

// pairedRatio is the median over the rounds of a[i]/b[i]: both were measured in the same
// round, so that what slows the machine down for a while slows both.
func pairedRatio(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}
