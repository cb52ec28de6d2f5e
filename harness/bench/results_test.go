package bench

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummaryIsOneFlatObjectOfNumbers(t *testing.T) {
	var results Results
	results.add("distribute.connections.ratio_direct", 0.971234567, "")
	results.add("lab.up_s.5", 1.5, "s")
	results.add("listen.rounds", 200, "")
	got, err := json.Marshal(&results)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"distribute.connections.ratio_direct":0.971235,"lab.up_s.5":1.5,"listen.rounds":200}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	var verdicts []bool
	for _, row := range results.Rows() {
		if row.Goal != nil {
			verdicts = append(verdicts, row.Goal.Reached(row.Value))
		}
	}
	if diff := cmp.Diff([]bool{true, false}, verdicts); diff != "" {
		t.Errorf("goals reached (-want +got):\n%s", diff)
	}
}

func TestQuantile(t *testing.T) {
	samples := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 0.25: 1.75, 1: 4} {
		if got := quantile(samples, q); got != want {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
	if samples[0] != 4 {
		t.Error("the samples were sorted in place")
	}
}

func TestPairedRatioComparesWithinARound(t *testing.T) {
	// The machine was ten times slower in the second round; the ratio is not.
	if got := pairedRatio([]float64{90, 9, 91}, []float64{100, 10, 100}); got != 0.9 {
		t.Errorf("ratio %g, want 0.9", got)
	}
}
