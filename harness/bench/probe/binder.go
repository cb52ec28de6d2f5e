package probe

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
)

// Binder is the program that binds. Its command:
//
//	bind ADDRESS:PORT TIMES
//	            makes a socket, binds it and closes it, so many times; the answer has how long each
//	            bind() took
//
// Returns when in ends.
func Binder(in io.Reader, out io.Writer) error {
	return serve(in, out, func(line string) (Answer, error) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "bind" {
			return Answer{}, fmt.Errorf("unknown command %q", line)
		}
		address, err := netip.ParseAddrPort(words[1])
		if err != nil {
			return Answer{}, fmt.Errorf("bind: %w", err)
		}
		times, err := strconv.Atoi(words[2])
		if err != nil {
			return Answer{}, fmt.Errorf("bind: %w", err)
		}
		var answer Answer
		for range times {
			took, err := timedBind(address)
			if err != nil {
				return answer, fmt.Errorf("bind %s: %w", address, err)
			}
			answer.Took = append(answer.Took, took)
		}
		return answer, nil
	})
}

// timedBind returns the nanoseconds that bind() took.
func timedBind(address netip.AddrPort) (int64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	sockaddr := load.Sockaddr(address)
	answer, err := timed(func() error { return unix.Bind(fd, sockaddr) })
	return answer.Ended - answer.Began, err
}
