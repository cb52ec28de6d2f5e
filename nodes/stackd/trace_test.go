package main

import (
	"fmt"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func TestTraceKeepsTheLastStepsAndEveryCount(t *testing.T) {
	tr := newTrace()
	for i := 1; i <= traceDepth+10; i++ {
		tr.add(fmt.Sprint(i), []vipa.Edge{"fig11/120->122"})
	}
	tr.add("nothing passed", nil)

	all := tr.since(0)
	if got, want := len(all.Steps), traceDepth; got != want {
		t.Fatalf("steps kept: got %d, want %d", got, want)
	}
	if got, want := all.Steps[0].Event, "11"; got != want {
		t.Errorf("oldest step: got %s, want %s", got, want)
	}
	if got, want := all.Edges["fig11/120->122"], uint64(traceDepth+10); got != want {
		t.Errorf("count of the edge: got %d, want %d", got, want)
	}

	last := tr.since(all.Next - 1)
	if len(last.Steps) != 1 || last.Steps[0].Number != all.Next {
		t.Errorf("since the last but one: got %+v, want the one step %d", last.Steps, all.Next)
	}
	if rest := tr.since(all.Next); len(rest.Steps) != 0 {
		t.Errorf("since the last: got %+v, want none", rest.Steps)
	}
}
