package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// socket creates a socket in a node. It belongs to that namespace wherever it is used.
func (s *supervisor) socket(name string, want wire.Socket) (*os.File, error) {
	n, err := s.find(name)
	if err != nil {
		return nil, err
	}
	var file *os.File
	protocol := want.Protocol
	if want.Interface != "" {
		protocol = 0 // nothing is received before the bind; for a socket that does the kernel would wait for all processors
	}
	err = n.namespace.Do(func() error {
		descriptor, err := unix.Socket(want.Domain, want.Type|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err != nil {
			return fmt.Errorf("create socket (domain %d, type %d, protocol %d) on %s: %w", want.Domain, want.Type, want.Protocol, name, err)
		}
		file = os.NewFile(uintptr(descriptor), "socket:"+name)
		if want.Interface == "" {
			return nil
		}
		return bindPacket(descriptor, want)
	})
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return file, nil
}

// bindPacket binds a packet socket to a link of the thread's namespace and makes it see
// everything there.
func bindPacket(descriptor int, want wire.Socket) error {
	request, err := unix.NewIfreq(want.Interface)
	if err != nil {
		return fmt.Errorf("interface %q: %w", want.Interface, err)
	}
	if err := unix.IoctlIfreq(descriptor, unix.SIOCGIFINDEX, request); err != nil {
		return fmt.Errorf("find interface %s: %w", want.Interface, err)
	}
	index := int(request.Uint32())
	protocol := uint16(want.Protocol) // in network byte order, as for socket(2)
	if err := unix.Bind(descriptor, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: index}); err != nil {
		return fmt.Errorf("bind packet socket to %s: %w", want.Interface, err)
	}
	promiscuous := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(descriptor, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &promiscuous); err != nil {
		return fmt.Errorf("make packet socket on %s promiscuous: %w", want.Interface, err)
	}
	return nil
}
