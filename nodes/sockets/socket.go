// Package sockets sees what applications do with TCP sockets: bind and listen as they
// happen, by a seccomp filter whose notifications a broker answers (Launch, Broker), and
// the end of listening sockets and connections, by the kernel's sock_diag (Monitor).
// It knows nothing of DVIPAs or stacks; whoever uses it says which addresses matter.
package sockets

import "net/netip"

// Socket is a listening TCP socket.
type Socket struct {
	// Cookie is the kernel's name of the socket (SO_COOKIE): unique in the machine and never
	// given again while it runs. Never zero.
	Cookie uint64
	// Local is where it listens; IPv4 addresses are always 4 bytes long, also those that an
	// IPv6 socket maps.
	Local netip.AddrPort
	// V6Only: an IPv6 socket that takes no IPv4 connections, by option or because it is bound
	// to one IPv6 address. False for IPv4 sockets.
	V6Only bool
	// Device is the index of the interface that it is bound to (SO_BINDTODEVICE), 0 for none.
	Device uint32
	// Application is the name that the launcher was given; empty for a program that came
	// without a launcher.
	Application string
	// PID is the process that called listen(), as the broker's PID namespace numbers it; 0
	// for a program that came without a launcher.
	PID int
}

// Connection is a TCP connection seen from this side; IPv4 addresses are always 4 bytes long.
type Connection struct {
	Local  netip.AddrPort
	Remote netip.AddrPort
}
