package segment

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Raw sends IPv4 packets with a header of their own through the routing of the namespace that its
// socket belongs to. It is safe for concurrent use.
type Raw struct{ file *os.File }

// NewRaw takes over a socket of family AF_INET, type SOCK_RAW and protocol IPPROTO_RAW (raw(7));
// opening one takes CAP_NET_RAW. On an error it is closed.
func NewRaw(file *os.File) (*Raw, error) {
	adopted, err := Adopt(file)
	if err != nil {
		return nil, err
	}
	return &Raw{file: adopted}, nil
}

// Send sends one packet to the destination its header names. The kernel fills in the header
// checksum, and the identification where it is zero.
func (r *Raw) Send(packet []byte) error {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return fmt.Errorf("send raw packet: %d bytes that are no IPv4 packet", len(packet))
	}
	to := unix.SockaddrInet4{Addr: [4]byte(packet[16:20])}
	raw, err := r.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("send raw packet to %s: %w", netip.AddrFrom4(to.Addr), err)
	}
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		failure = unix.Sendto(int(fd), packet, 0, &to)
		return failure != unix.EAGAIN
	})
	if err := errors.Join(err, failure); err != nil {
		return fmt.Errorf("send raw packet to %s: %w", netip.AddrFrom4(to.Addr), err)
	}
	return nil
}

// Close closes the socket.
func (r *Raw) Close() error { return r.file.Close() }
