package puppet

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
)

// onSocket carries out an order about one socket.
func (p *Program) onSocket(verb, name string, operands []string) Answer {
	if verb == "socket" {
		return timed(func() error { return p.open(name, operands) })
	}
	fd, ok := p.sockets[name]
	if !ok {
		return problem(fmt.Errorf("%s: there is no socket %s", verb, name))
	}
	switch verb {
	case "listen":
		return withLocal(fd, timed(func() error { return unix.Listen(fd, backlog) }))
	case "shutdown":
		return timed(func() error { return unix.Shutdown(fd, unix.SHUT_RDWR) })
	case "close":
		delete(p.sockets, name)
		return timed(func() error { return unix.Close(fd) })
	case "receive":
		return receive(fd)
	}
	if len(operands) != 1 {
		return problem(fmt.Errorf("%s %s: unknown, or not the operands it takes", verb, name))
	}
	switch operand := operands[0]; verb {
	case "send":
		return timed(func() error { return unix.Send(fd, []byte(operand), unix.MSG_NOSIGNAL) })
	case "accept", "dup":
		return p.another(verb, fd, operand)
	case "pass":
		return p.pass(name, fd, operand)
	default:
		return onAddress(verb, fd, operand)
	}
}

// backlog is long enough that the kernel completes every connection of a spec by itself.
const backlog = 128

// options of a socket by the words of an order.
var options = map[string]struct{ level, name int }{
	Shared: {unix.SOL_SOCKET, unix.SO_REUSEPORT},
	Reuse:  {unix.SOL_SOCKET, unix.SO_REUSEADDR},
	V6Only: {unix.IPPROTO_IPV6, unix.IPV6_V6ONLY},
}

// open makes a socket with options.
func (p *Program) open(name string, words []string) error {
	if _, taken := p.sockets[name]; taken {
		return fmt.Errorf("socket %s: there is one already", name)
	}
	family, kind := unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC
	for _, word := range words {
		switch word {
		case IPv6:
			family = unix.AF_INET6
		case Nonblocking:
			kind |= unix.SOCK_NONBLOCK
		}
	}
	fd, err := unix.Socket(family, kind, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	for _, word := range words {
		option, known := options[word]
		switch {
		case known:
			err = errors.Join(err, unix.SetsockoptInt(fd, option.level, option.name, 1))
		case word == Abortive:
			err = errors.Join(err, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
		case word != IPv6 && word != Nonblocking:
			err = errors.Join(err, fmt.Errorf("socket %s: unknown option %q", name, word))
		}
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	p.sockets[name] = fd
	return nil
}

// another makes a second descriptor: of the same socket, or of a connection that it takes.
func (p *Program) another(verb string, fd int, name string) Answer {
	if _, taken := p.sockets[name]; taken {
		return problem(fmt.Errorf("%s: there is a socket %s already", verb, name))
	}
	return timed(func() (err error) {
		made := -1
		if verb == "dup" {
			made, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		} else {
			made, _, err = unix.Accept4(fd, unix.SOCK_CLOEXEC)
		}
		if err == nil {
			p.sockets[name] = made
		}
		return err
	})
}

// onAddress carries out an order that names an address.
func onAddress(verb string, fd int, operand string) Answer {
	address, err := netip.ParseAddrPort(operand)
	if err != nil {
		return problem(fmt.Errorf("%s: %w", verb, err))
	}
	switch verb {
	case "bind":
		return withLocal(fd, timed(func() error { return unix.Bind(fd, load.Sockaddr(address)) }))
	case "connect":
		return withLocal(fd, timed(func() error { return unix.Connect(fd, load.Sockaddr(address)) }))
	case "fastopen":
		return withLocal(fd, timed(func() error {
			return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL, load.Sockaddr(address))
		}))
	}
	return problem(fmt.Errorf("unknown order %q", verb))
}

func receive(fd int) Answer {
	buffer := make([]byte, 1<<16)
	n := 0
	answer := timed(func() (err error) {
		n, err = unix.Read(fd, buffer)
		return err
	})
	answer.Text = string(buffer[:max(n, 0)])
	return answer
}

// withLocal adds the socket's own end.
func withLocal(fd int, answer Answer) Answer {
	local, err := unix.Getsockname(fd)
	if err != nil {
		answer.Problem = fmt.Sprintf("getsockname: %v", err)
		return answer
	}
	switch sa := local.(type) {
	case *unix.SockaddrInet4:
		answer.Local = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		answer.Local = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return answer
}
