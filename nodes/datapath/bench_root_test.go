package datapath

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// processorTime is what this process has used, in the kernel too.
func processorTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The end of connections that the CRT holds, told many at a time: what a routing stack does for
// each short connection.
func BenchmarkEndConnections(b *testing.B) {
	const atOnce = 500
	l := newLab(b, of4, 2)
	p := l.open(Config{})
	apply(b, p, append(l.own(), l.distribute(80, 2, 3))...)
	connections := make([]contract.Connection, atOnce)
	var source uint32
	var spent time.Duration
	for b.Loop() {
		for i := range connections {
			source++
			client := netip.AddrFrom4([4]byte{10, 2, byte(source >> 16), 1})
			connections[i] = contract.Connection{
				Remote: netip.AddrPortFrom(client, uint16(source)), Local: netip.AddrPortFrom(l.dvipa, 80),
			}
		}
		apply(b, p, vipa.AddConnections{Target: l.xcf(2), Connections: connections})
		before := processorTime(b)
		apply(b, p, vipa.EndConnections{Target: l.xcf(2), Connections: connections})
		spent += processorTime(b) - before
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*atOnce), "cpu-ns/connection")
}
