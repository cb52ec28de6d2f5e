package segment

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Adopt makes a socket that came from another process usable with Go's poller, so that reads end
// when it is closed. The file itself is closed in any case.
func Adopt(file *os.File) (*os.File, error) {
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("adopt socket %s: %w", file.Name(), err)
	}
	var adopted int
	var failure error
	err = raw.Control(func(fd uintptr) {
		if adopted, failure = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); failure != nil {
			return
		}
		if failure = unix.SetNonblock(adopted, true); failure != nil {
			unix.Close(adopted)
		}
	})
	if err := errors.Join(err, failure); err != nil {
		return nil, fmt.Errorf("adopt socket %s: %w", file.Name(), err)
	}
	return os.NewFile(uintptr(adopted), file.Name()), nil
}

// A Port sends and receives Ethernet frames on one interface. It is safe for concurrent use.
type Port struct {
	file *os.File
	mac  net.HardwareAddr
}

// maxFrame holds what a veth delivers at most: a segment of 64 KiB that was never cut.
const maxFrame = 1<<16 + 256

// NewPort takes over an AF_PACKET socket of type SOCK_RAW that is bound to one interface with
// ETH_P_ALL; on an error it is closed. Opening such a socket takes CAP_NET_RAW, using it nothing.
// Frames that the machine of the interface sends itself are not received.
func NewPort(file *os.File) (*Port, error) {
	adopted, err := Adopt(file)
	if err != nil {
		return nil, err
	}
	p := &Port{file: adopted}
	if err := p.prepare(); err != nil {
		adopted.Close()
		return nil, fmt.Errorf("prepare packet socket %s: %w", adopted.Name(), err)
	}
	return p, nil
}

func (p *Port) prepare() error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		var name unix.Sockaddr
		if name, failure = unix.Getsockname(int(fd)); failure != nil {
			return
		}
		link, ok := name.(*unix.SockaddrLinklayer)
		if !ok || link.Ifindex == 0 {
			failure = errors.New("not an AF_PACKET socket that is bound to an interface")
			return
		}
		p.mac = append(net.HardwareAddr(nil), link.Addr[:link.Halen]...)
		failure = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	})
	return errors.Join(err, failure)
}

// MAC is the address of the interface itself.
func (p *Port) MAC() net.HardwareAddr { return p.mac }

// Send sends one frame. ENOBUFS and ENETDOWN come from the interface's queue and state.
func (p *Port) Send(frame []byte) error {
	if _, err := p.file.Write(frame); err != nil {
		return fmt.Errorf("send frame of %d bytes: %w", len(frame), err)
	}
	return nil
}

// Receive waits for the next frame. It ends with os.ErrClosed when the port is closed.
func (p *Port) Receive(buffer []byte) ([]byte, error) {
	n, err := p.file.Read(buffer)
	if err != nil {
		return nil, fmt.Errorf("receive frame: %w", err)
	}
	return buffer[:n], nil
}

// Close ends every Receive.
func (p *Port) Close() error { return p.file.Close() }
