package sockets

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routes asks the kernel for ways, of one network namespace, the one of the thread that opened it. Its methods may be
// called concurrently.
type routes struct{ handle *netlink.Handle }

func openRoutes() (*routes, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket for routes: %w", err)
	}
	return &routes{handle}, nil
}

func (r *routes) close() { r.handle.Close() }

// check fails as connect() of a socket will if no way leads from a source to its peer. The kernel looks for one before
// it does anything else (tcp_v4_connect), and a socket that has a port already keeps it then: so none is to be taken. Of
// errors that may have other reasons it says nothing.
func (r *routes) check(fd int, source, remote netip.Addr) error {
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil {
		return err
	}
	mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
	if err != nil {
		return err
	}
	_, err = r.handle.RouteGetWithOptions(remote.AsSlice(), &netlink.RouteGetOptions{
		SrcAddr: source.Unmap().AsSlice(), OifIndex: device, Mark: uint32(mark),
	})
	switch err {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES:
		return err
	}
	return nil
}
