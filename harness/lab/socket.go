package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// Socket creates a socket in a node; the arguments are those of socket(2). The file is
// non-blocking and belongs to the node's namespace, which does not end before it is closed.
func (l *Lab) Socket(ctx context.Context, node string, domain, socketType, protocol int) (*os.File, error) {
	return l.askFile(ctx, wire.Request{
		Operation: wire.OperationSocket, Node: node,
		Socket: &wire.Socket{Domain: domain, Type: socketType, Protocol: protocol},
	})
}

// Packet creates a packet socket (packet(7), SOCK_RAW, all protocols) that is bound to a link of a node and
// promiscuous. It sees frames from the moment it is returned.
func (l *Lab) Packet(ctx context.Context, node, link string) (*os.File, error) {
	return l.askFile(ctx, wire.Request{
		Operation: wire.OperationSocket, Node: node,
		Socket: &wire.Socket{Domain: unix.AF_PACKET, Type: unix.SOCK_RAW, Protocol: allProtocols, Interface: link},
	})
}

// allProtocols is ETH_P_ALL in network byte order, as packet sockets take it.
var allProtocols = int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}))

// Dial connects from a node. Network is tcp, tcp4, tcp6, udp, udp4 or udp6; addresses are
// literal, with the port. The zero local leaves address and port to the kernel.
func (l *Lab) Dial(ctx context.Context, node, network string, local, remote netip.AddrPort) (net.Conn, error) {
	failed := func(err error) error {
		return &net.OpError{Op: "dial from " + node, Net: network, Addr: addrOf(network, remote), Err: err}
	}
	conn, file, err := l.newSocket(ctx, node, network, remote.Addr())
	if err != nil {
		return nil, failed(err)
	}
	defer file.Close()
	defer conn.Close()
	if local.IsValid() {
		if err := conn.Bind(sockaddr(local)); err != nil {
			return nil, failed(err)
		}
	}
	if _, err := conn.Connect(ctx, sockaddr(remote)); err != nil {
		return nil, failed(err)
	}
	connected, err := net.FileConn(file)
	if err != nil {
		return nil, failed(err)
	}
	return connected, nil
}

// Listen listens in a node. Network is tcp, tcp4 or tcp6.
func (l *Lab) Listen(ctx context.Context, node, network string, address netip.AddrPort) (net.Listener, error) {
	failed := func(err error) error {
		return &net.OpError{Op: "listen on " + node, Net: network, Addr: addrOf(network, address), Err: err}
	}
	conn, file, err := l.newSocket(ctx, node, network, address.Addr())
	if err != nil {
		return nil, failed(err)
	}
	defer file.Close()
	defer conn.Close()
	// As package net does, so that a test can listen again at once.
	if err := conn.SetsockoptInt(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, failed(err)
	}
	if err := conn.Bind(sockaddr(address)); err != nil {
		return nil, failed(err)
	}
	if err := conn.Listen(unix.SOMAXCONN); err != nil {
		return nil, failed(err)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, failed(err)
	}
	return listener, nil
}

// ListenPacket receives datagrams in a node. Network is udp, udp4 or udp6. The socket may send to
// broadcast addresses.
func (l *Lab) ListenPacket(ctx context.Context, node, network string, address netip.AddrPort) (net.PacketConn, error) {
	failed := func(err error) error {
		return &net.OpError{Op: "listen on " + node, Net: network, Addr: addrOf(network, address), Err: err}
	}
	conn, file, err := l.newSocket(ctx, node, network, address.Addr())
	if err != nil {
		return nil, failed(err)
	}
	defer file.Close()
	defer conn.Close()
	if err := conn.SetsockoptInt(unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return nil, failed(err)
	}
	if err := conn.Bind(sockaddr(address)); err != nil {
		return nil, failed(err)
	}
	packets, err := net.FilePacketConn(file)
	if err != nil {
		return nil, failed(err)
	}
	return packets, nil
}

// newSocket creates a socket in a node, for a network of package net and an address: once to
// work with under a context, and once more to make a connection of package net from.
func (l *Lab) newSocket(ctx context.Context, node, network string, address netip.Addr) (*socket.Conn, *os.File, error) {
	if !address.IsValid() {
		return nil, nil, fmt.Errorf("no address: %w", unix.EDESTADDRREQ)
	}
	domain := unix.AF_INET
	if address.Is6() {
		domain = unix.AF_INET6
	}
	kind := strings.TrimRight(network, "46")
	types := map[string]int{"tcp": unix.SOCK_STREAM, "udp": unix.SOCK_DGRAM}
	if types[kind] == 0 || strings.HasSuffix(network, "4") && address.Is6() || strings.HasSuffix(network, "6") && address.Is4() {
		return nil, nil, net.UnknownNetworkError(network + " for " + address.String())
	}
	file, err := l.Socket(ctx, node, domain, types[kind], 0)
	if err != nil {
		return nil, nil, err
	}
	conn, err := socket.FileConn(file, network)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return conn, file, nil
}

// sockaddr is an address as system calls take it.
func sockaddr(address netip.AddrPort) unix.Sockaddr {
	if address.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}
	}
	return &unix.SockaddrInet6{Addr: address.Addr().As16(), Port: int(address.Port())}
}

// addrOf is an address as errors of package net have it.
func addrOf(network string, address netip.AddrPort) net.Addr {
	if strings.HasPrefix(network, "udp") {
		return net.UDPAddrFromAddrPort(address)
	}
	return net.TCPAddrFromAddrPort(address)
}
