package lab_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// bare makes every stack of a plan a host, so that only the networks are built.
func bare(plan *topo.Plan) *topo.Plan {
	for i := range plan.Nodes {
		if plan.Nodes[i].Kind == topo.KindStack {
			plan.Nodes[i].Kind, plan.Nodes[i].Stack = topo.KindHost, nil
		}
	}
	return plan
}

// TestManyNodes builds the largest plan there is.
func TestManyNodes(t *testing.T) {
	l := up(t, bare(sysplex(128)), lab.Options{})
	if got := exchange(t, l, "MVS128", "MVS1", address("10.1.0.1:80")); got != "hello" {
		t.Errorf("got %q", got)
	}
	if got := exchange(t, l, "CLIENT", "MVS128", address("203.0.0.128:80")); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkBare(b *testing.B) {
	for _, stacks := range []int{5, 32, 128} {
		b.Run(fmt.Sprint(stacks), func(b *testing.B) {
			plan := bare(sysplex(stacks))
			var up, down time.Duration
			for b.Loop() {
				begin := time.Now()
				l, err := lab.Up(b.Context(), plan, lab.Options{Name: labName(b)})
				if err != nil {
					b.Fatal(err)
				}
				up += time.Since(begin)
				begin = time.Now()
				if err := l.Down(context.Background()); err != nil {
					b.Fatal(err)
				}
				down += time.Since(begin)
			}
			b.ReportMetric(float64(up.Milliseconds())/float64(b.N), "ms-up")
			b.ReportMetric(float64(down.Milliseconds())/float64(b.N), "ms-down")
		})
	}
}

// BenchmarkStacks builds labs with stacks of no weight, to see what the lab itself costs.
func BenchmarkStacks(b *testing.B) {
	for _, stacks := range []int{5, 32} {
		b.Run(fmt.Sprint(stacks), func(b *testing.B) {
			var up, down time.Duration
			for b.Loop() {
				begin := time.Now()
				l, err := lab.Up(b.Context(), sysplex(stacks), lab.Options{Name: labName(b), Implementation: tiny()})
				if err != nil {
					b.Fatal(err)
				}
				up += time.Since(begin)
				begin = time.Now()
				if err := l.Down(context.Background()); err != nil {
					b.Fatal(err)
				}
				down += time.Since(begin)
			}
			b.ReportMetric(float64(up.Milliseconds())/float64(b.N), "ms-up")
			b.ReportMetric(float64(down.Milliseconds())/float64(b.N), "ms-down")
		})
	}
}
