package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Processors are the Go processors of a stack. With one, its threads wake nobody but the one that has something to do,
// which is a fifth of what an idle stack costs. With one, too, the pulse waits while tables change in the kernel, which
// may take so long under load that leases end; then there are two.
type processors struct {
	// crowded is when many connections changed last, in nanoseconds since the epoch, 0 for never.
	crowded atomic.Int64
	now     int
}

const (
	// manyChanges of connections at a time are those of a stack under load.
	manyChanges = 16
	// calmAfter is how long there must have been fewer until one processor does again.
	calmAfter = time.Second
)

// changing takes note of how many connections change.
func (p *processors) changing(actions []vipa.Action) {
	n := 0
	for _, a := range actions {
		switch a := a.(type) {
		case vipa.AddConnections:
			n += len(a.Connections)
		case vipa.EndConnections:
			n += len(a.Connections)
		}
	}
	if n >= manyChanges {
		p.crowded.Store(time.Now().UnixNano())
	}
}

// want is how many there are to be.
func (p *processors) want(now time.Time) int {
	if now.Sub(time.Unix(0, p.crowded.Load())) < calmAfter {
		return 2
	}
	return 1
}

// follow sees to it. It must be called from one goroutine.
func (p *processors) follow(now time.Time) {
	if want := p.want(now); want != p.now {
		runtime.GOMAXPROCS(want)
		p.now = want
	}
}
