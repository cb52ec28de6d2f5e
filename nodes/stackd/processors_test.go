package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func TestProcessors(t *testing.T) {
	some := func(n int) []contract.Connection { return make([]contract.Connection, n) }
	target := netip.MustParseAddr("10.1.0.2")
	for name, c := range map[string]struct {
		actions []vipa.Action
		after   time.Duration
		want    int
	}{
		"none change":       {nil, 0, 1},
		"few change":        {[]vipa.Action{vipa.EndConnections{Target: target, Connections: some(manyChanges - 1)}}, 0, 1},
		"many change":       {[]vipa.Action{vipa.EndConnections{Target: target, Connections: some(manyChanges - 1)}, vipa.AddConnections{Target: target, Connections: some(1)}}, 0, 2},
		"many changed once": {[]vipa.Action{vipa.AddConnections{Target: target, Connections: some(manyChanges)}}, 2 * calmAfter, 1},
	} {
		var p processors
		p.changing(c.actions)
		if got := p.want(time.Now().Add(c.after)); got != c.want {
			t.Errorf("%s: %d processors, want %d", name, got, c.want)
		}
	}
}
