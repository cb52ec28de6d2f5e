package datapath

import (
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// I20: while other stacks have yet to tell what they hold, packets that match nothing are dropped silently and
// counted, and those that match something are served.
func TestSettling(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2), l.add(3, 4000), vipa.Settle{DVIPA: l.dvipa, On: true})...)
		in := l.injector()
		for _, c := range []struct {
			what         string
			source, port uint16
			flags        byte
			counted      string
		}{
			{"a segment of a connection that is known", 4000, 80, ack, "fig12/140-yes->150"},
			{"a request for a service", 4001, 80, syn, "fig12/146->150"},
			{"a segment of a connection that is not known", 4002, 80, ack, pathSettling},
			{"a request for no service", 4003, 81, syn, pathSettling},
		} {
			before := count(t, p, c.counted)
			in.send(l.packet(c.source, c.port, c.flags))
			eventually(t, patience, c.what+" is counted as "+c.counted, func() bool { return count(t, p, c.counted) == before+1 })
		}
		want(t, "packets left to this stack", uint64(0), count(t, p, "fig12/152->end"))

		apply(t, p, vipa.Settle{DVIPA: l.dvipa})
		in.send(l.packet(4002, 80, ack))
		eventually(t, patience, "a segment that matches nothing is left to this stack", func() bool { return count(t, p, "fig12/142-no->152") == 1 })
		apply(t, p, vipa.Settle{DVIPA: l.dvipa}) // once more: nothing changes
		want(t, "segments dropped", uint64(2), count(t, p, pathSettling))
		want(t, "target of the connection", l.xcf(3), find(t, p, l.from(4000)).Target)
	})
}
