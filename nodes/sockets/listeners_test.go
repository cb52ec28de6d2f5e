package sockets

import "testing"

// A socket that a look-up by address does not find is suspect once, until it is found again.
func TestShadowedListeners(t *testing.T) {
	t.Parallel()
	l := newListeners()
	l.start(Socket{Cookie: 1})
	for i, step := range []struct{ found, suspect, shadowed bool }{
		{found: true},
		{found: false, suspect: true, shadowed: true},
		{found: false, shadowed: true},
		{found: true},
		{found: false, suspect: true, shadowed: true},
	} {
		suspect := l.lookedUp(1, step.found)
		if _, shadowed := l.shadowed[1]; suspect != step.suspect || shadowed != step.shadowed {
			t.Errorf("step %d: suspect %v, shadowed %v, want %v, %v", i, suspect, shadowed, step.suspect, step.shadowed)
		}
	}
	if l.compare(map[uint64]Socket{}); len(l.shadowed) != 0 {
		t.Error("a socket that is gone is shadowed still")
	}
}
