package lab_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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

// TestManyNodes builds the largest plan there is, and lets everybody talk to everybody on
// XCF, as stacks do.
func TestManyNodes(t *testing.T) {
	const stacks = 128
	l := up(t, bare(sysplex(stacks)), lab.Options{})
	sockets := make([]net.PacketConn, stacks)
	for i := range sockets {
		conn, err := l.ListenPacket(bounded(t), fmt.Sprintf("MVS%d", i+1), "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), meshPort))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		sockets[i] = conn
	}
	for i, conn := range sockets {
		for j := range sockets {
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(j + 1)}), meshPort)
			if _, err := conn.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(to)); err != nil {
				t.Fatalf("from MVS%d to MVS%d: %v", i+1, j+1, err)
			}
		}
	}
	deadline := time.Now().Add(limit)
	for j, conn := range sockets {
		if err := conn.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		for heard := range sockets {
			if _, _, err := conn.ReadFrom(make([]byte, 16)); err != nil {
				t.Fatalf("MVS%d has heard %d of %d: %v", j+1, heard, stacks, err)
			}
		}
	}
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
