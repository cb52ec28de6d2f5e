package probe

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
)

// Listener is the program at the target. Its commands:
//
//	listen ADDRESS:PORT [shared] [v6only]
//	            opens a listening socket; the times are those of listen(). Shared: others may
//	            listen there too (SO_REUSEPORT). v6only: it takes no IPv4 connections.
//	shutdown    ends listening by shutdown(), the socket stays open
//	close       closes the socket
//
// It accepts nothing: the kernel completes connections by itself. Returns when in ends.
func Listener(in io.Reader, out io.Writer) error {
	fd := -1
	return serve(in, out, func(line string) (Answer, error) {
		verb, operands, _ := strings.Cut(line, " ")
		if verb != "listen" && fd < 0 {
			return Answer{}, fmt.Errorf("%s: no socket listens", verb)
		}
		switch verb {
		case "listen":
			if fd >= 0 {
				return Answer{}, errors.New("listen: a socket is open already")
			}
			bound, err := bind(strings.Fields(operands))
			if err != nil {
				return Answer{}, err
			}
			fd = bound
			return timed(func() error { return wrap("listen", unix.Listen(fd, 128)) })
		case "shutdown":
			return timed(func() error { return wrap("shutdown", unix.Shutdown(fd, unix.SHUT_RDWR)) })
		case "close":
			closing := fd
			fd = -1
			return timed(func() error { return wrap("close", unix.Close(closing)) })
		default:
			return Answer{}, fmt.Errorf("unknown command %q", line)
		}
	})
}

// listenOptions are the socket options behind the words of a listen command.
var listenOptions = map[string]struct{ level, name int }{
	"shared": {unix.SOL_SOCKET, unix.SO_REUSEPORT},
	"v6only": {unix.IPPROTO_IPV6, unix.IPV6_V6ONLY},
}

// bind makes a socket of the operands of a listen command.
func bind(operands []string) (int, error) {
	if len(operands) == 0 {
		return -1, errors.New("listen: the address is missing")
	}
	ap, err := netip.ParseAddrPort(operands[0])
	if err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	family := unix.AF_INET
	if ap.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	// Connections of the rounds before leave remnants.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	for _, word := range operands[1:] {
		option, known := listenOptions[word]
		if err == nil && !known {
			err = fmt.Errorf("unknown option %q", word)
		}
		if err == nil {
			err = wrap(word, unix.SetsockoptInt(fd, option.level, option.name, 1))
		}
	}
	if err == nil {
		err = unix.Bind(fd, load.Sockaddr(ap))
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind %s: %w", ap, err)
	}
	return fd, nil
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
