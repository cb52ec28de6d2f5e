package main

import (
	"sync"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// traceDepth is how many steps the trace keeps; the counts of edges are kept for good.
const traceDepth = 4096

// trace remembers which edges of the flowcharts the core passed.
type trace struct {
	mu    sync.Mutex
	steps []control.TraceStep // a ring once it holds traceDepth steps
	next  uint64              // number of the next step, from 1
	edges map[string]uint64
}

func newTrace() *trace {
	return &trace{next: 1, edges: map[string]uint64{}}
}

// add records one event. Events that passed no block are not recorded.
func (t *trace) add(event string, edges []vipa.Edge) {
	if len(edges) == 0 {
		return
	}
	step := control.TraceStep{Event: event, Edges: make([]string, len(edges))}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range edges {
		step.Edges[i] = string(e)
		t.edges[string(e)]++
	}
	step.Number = t.next
	if len(t.steps) < traceDepth {
		t.steps = append(t.steps, step)
	} else {
		t.steps[(t.next-1)%traceDepth] = step
	}
	t.next++
}

// since returns the steps that are kept of those after number n, oldest first.
func (t *trace) since(n uint64) control.Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := control.Trace{Steps: []control.TraceStep{}, Next: t.next - 1, Edges: make(map[string]uint64, len(t.edges))}
	for e, count := range t.edges {
		out.Edges[e] = count
	}
	oldest := uint64(1)
	if t.next > traceDepth {
		oldest = t.next - traceDepth
	}
	for number := max(oldest, n+1); number < t.next; number++ {
		out.Steps = append(out.Steps, t.steps[(number-1)%traceDepth])
	}
	return out
}
