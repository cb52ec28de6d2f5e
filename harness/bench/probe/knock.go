package probe

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
)

const (
	// knockEvery is the pause between two knocks, and so the resolution of what is measured.
	knockEvery = 200 * time.Microsecond
	// knockLimit is how long the program knocks before it gives up.
	knockLimit = 10 * time.Second
)

// Knocker is the program at the client. Its commands:
//
//	knock ADDRESS:PORT            connects again and again until a connection succeeds,
//	                              within 10 s; refusals are what it expects until then
//	half-open SOURCE ADDRESS:PORT sends one SYN whose answer nobody takes, from a source
//	                              address that no host has; needs CAP_NET_RAW
//
// Returns when in ends.
func Knocker(in io.Reader, out io.Writer) error {
	return serve(in, out, func(line string) (Answer, error) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "knock":
			target, err := netip.ParseAddrPort(words[1])
			if err != nil {
				return Answer{}, fmt.Errorf("knock: %w", err)
			}
			return knock(target)
		case len(words) == 3 && words[0] == "half-open":
			source, err := netip.ParseAddr(words[1])
			if err != nil {
				return Answer{}, fmt.Errorf("half-open: %w", err)
			}
			target, err := netip.ParseAddrPort(words[2])
			if err != nil {
				return Answer{}, fmt.Errorf("half-open: %w", err)
			}
			return timed(func() error { return sendSYN(source, target) })
		default:
			return Answer{}, fmt.Errorf("unknown command %q", line)
		}
	})
}

func knock(target netip.AddrPort) (Answer, error) {
	ticker := time.NewTicker(knockEvery)
	defer ticker.Stop()
	for limit := monotonic.Now() + int64(knockLimit); ; <-ticker.C {
		began := monotonic.Now()
		fd, err := load.Dial(netip.AddrPort{}, target, time.Second)
		ended := monotonic.Now()
		if err == nil {
			// By RST, so that no remnant keeps the listener's port busy.
			linger := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			unix.Close(fd)
			return Answer{Began: began, Ended: ended}, wrap("setsockopt SO_LINGER", linger)
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return Answer{}, fmt.Errorf("knock at %s: %w", target, err)
		}
		if ended > limit {
			return Answer{}, fmt.Errorf("knock at %s: refused for %v", target, knockLimit)
		}
	}
}
