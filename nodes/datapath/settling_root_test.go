package datapath

import (
	"sync"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
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

// I20: what is told together with the end of a list is known before the list has ended: no segment of such a
// connection is left to this stack, whose kernel would answer with an RST, however many there are.
func TestSettledLast(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{})
		apply(t, p, append(l.own(), vipa.Settle{DVIPA: l.dvipa, On: true})...)
		in := l.injector()
		const told, last = 3000, 4000
		var many []contract.Connection
		for port := range uint16(told) {
			many = append(many, l.from(last+told-port))
		}
		many = append(many, l.from(last))

		var sending sync.WaitGroup
		stop := make(chan struct{})
		sending.Go(func() {
			for segment := l.packet(last, 80, ack); ; {
				select {
				case <-stop:
					return
				default:
					in.send(segment)
				}
			}
		})
		eventually(t, patience, "segments are dropped", func() bool { return count(t, p, pathSettling) > 0 })
		apply(t, p, vipa.AddConnections{Target: l.xcf(3), Connections: many}, vipa.Settle{DVIPA: l.dvipa})
		close(stop)
		sending.Wait()
		eventually(t, patience, "the connection is routed", func() bool {
			in.send(l.packet(last, 80, ack))
			return count(t, p, "fig12/140-yes->150") > 0
		})
		want(t, "segments left to this stack", uint64(0), count(t, p, "fig12/142-no->152"))
	})
}
