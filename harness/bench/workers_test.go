package bench

import (
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

func TestQuantileOfAHistogram(t *testing.T) {
	h := claimer.Histogram{10: 50, 20: 48, 30: 1, 40: 1}
	for q, want := range map[float64]time.Duration{0: 10, 0.5: 10, 0.51: 20, 0.98: 20, 0.99: 30, 1: 40} {
		if got := quantileOf(h, q); got != want {
			t.Errorf("quantile %g is %d, want %d", q, got, want)
		}
	}
	if got := quantileOf(nil, 0.5); got != 0 {
		t.Errorf("the median of nothing is %d, want 0", got)
	}
}

// echo is a worker that says it is ready, and says of each line that it reads that it failed.
var echo = []string{"sh", "-c", `echo {}; while read -r line; do echo '{"error":"no"}'; done`}

func TestAWorkerThatFailsSaysSo(t *testing.T) {
	start := func() *worker {
		w, err := startWorker(t.Context(), echo...)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.ready(); err != nil {
			t.Fatal(err)
		}
		return w
	}
	idle := start()
	if err := idle.end(); err != nil {
		t.Errorf("a worker that was killed: %v", err)
	}
	asked := start()
	if err := asked.begin(claimer.Job{}); err != nil {
		t.Fatal(err)
	}
	if _, err := asked.answer(); err == nil {
		t.Error("an answer with an error was taken")
	}
	_ = asked.end()
	ended, err := startWorker(t.Context(), "sh", "-c", "echo gone >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if err := ended.ready(); err == nil {
		t.Error("a worker that has ended was taken for one that is ready")
	}
}
