package trial

import (
	"net/netip"
	"testing"
	"time"
)

func TestLongestAbsence(t *testing.T) {
	t.Parallel()
	changes := `[2026-01-31T12:00:00.000100] 198.51.100.10 via 192.168.44.101 dev eth0 proto bird metric 32
[2026-01-31T12:00:01.000000] Deleted 198.51.100.10 via 192.168.44.101 dev eth0 proto bird metric 32
[2026-01-31T12:00:01.500000] 198.51.100.0/24 via 192.168.44.105 dev eth0 proto bird metric 32
[2026-01-31T12:00:03.000000] 198.51.100.10 via 192.168.44.105 dev eth0 proto bird metric 32
[2026-01-31T12:00:04.000000] 198.51.100.10 via 192.168.44.101 dev eth0 proto bird metric 32
[2026-01-31T12:00:05.000000] Deleted 198.51.100.10 via 192.168.44.101 dev eth0 proto bird metric 32
[2026-01-31T12:00:05.002000] 198.51.100.10 via 192.168.44.105 dev eth0 proto bird metric 32
`
	if got, want := longestAbsence(changes, netip.MustParseAddr("198.51.100.10")), 2*time.Second; got != want {
		t.Errorf("longest absence: got %v, want %v", got, want)
	}
}
