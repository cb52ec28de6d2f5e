package probe

import (
	"net/netip"
	"testing"
)

func TestGapIsBetweenAnsweredAttempts(t *testing.T) {
	for _, row := range []struct {
		what         string
		attempts     []attempt
		began, ended int64
	}{
		{"all answered", []attempt{{1, true}, {2, true}, {4, true}}, 2, 4},
		{"unanswered between", []attempt{{1, true}, {2, false}, {3, false}, {5, true}, {6, true}}, 1, 5},
		{"unanswered at the ends", []attempt{{1, false}, {9, true}, {10, true}, {20, false}}, 9, 10},
		{"one answered", []attempt{{1, false}, {9, true}}, 0, 0},
	} {
		p := pulse{attempts: row.attempts}
		if got := p.gap(); got.Began != row.began || got.Ended != row.ended {
			t.Errorf("%s: got a gap from %d to %d, want %d to %d", row.what, got.Began, got.Ended, row.began, row.ended)
		}
	}
}

func TestEveryAttemptHasASourceOfItsOwn(t *testing.T) {
	p := pulse{sources: netip.MustParsePrefix("192.0.2.128/29")}
	const all = 6 * ports
	seen := make(map[netip.AddrPort]bool, all)
	for number := range uint32(all) {
		source := p.source(number)
		if seen[source] {
			t.Fatalf("attempt %d has the source %s, which another had", number, source)
		}
		if a := source.Addr(); !p.sources.Contains(a) || a == p.sources.Addr() || a == netip.MustParseAddr("192.0.2.135") {
			t.Fatalf("attempt %d has the source %s, want a host's address in %s", number, source, p.sources)
		}
		seen[source] = true
	}
}
