package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

const (
	// pulseEvery is the time between two attempts, and so the resolution of a gap.
	pulseEvery = time.Millisecond
	// steady is how many attempts in a row have to be answered before a service counts as being there.
	steady = 100
	// steadyLimit bounds the wait for that.
	steadyLimit = 15 * time.Second
	// answerLimit is how late an answer may be: less than the second after which a kernel sends its
	// SYN-ACK again (TCP_TIMEOUT_INIT), so that what is answered to a retransmission does not count.
	answerLimit = 900 * time.Millisecond
	// Source ports of attempts.
	firstPort, ports = 1024, 1<<16 - 1024
)

// Pulse is the program that tells how long a service does not answer. It takes CAP_NET_RAW. Its commands:
//
//	begin SOURCES ADDRESS:PORT  asks for a new connection every millisecond from then on, by one SYN of
//	                            a 4-tuple that no other attempt of this program has; answers once a
//	                            hundred in a row were answered
//	end                         goes on until a hundred in a row were answered, then stops; the times are
//	                            those of the two answered attempts with the longest time between them
//
// SOURCES is a prefix of IPv4 addresses that are routed to this node and that are not its own: its
// kernel, which did not ask for these connections, must not answer with an RST. The program does so,
// once a SYN-ACK is there, so that nothing is left half open. Returns when in ends.
func Pulse(in io.Reader, out io.Writer) error {
	var (
		running *pulse
		next    uint32 // number of the first attempt of the next pulse
	)
	return serve(in, out, func(line string) (Answer, error) {
		words := strings.Fields(line)
		switch {
		case len(words) == 3 && words[0] == "begin" && running == nil:
			p, err := newPulse(words[1], words[2], next)
			if err != nil {
				return Answer{}, fmt.Errorf("begin: %w", err)
			}
			go p.run()
			err = <-p.told
			if next = p.next(); err != nil {
				return Answer{}, fmt.Errorf("begin: %w", err)
			}
			running = p
			return Answer{Began: p.attempts[0].sent, Ended: monotonic.Now()}, nil
		case len(words) == 1 && words[0] == "end" && running != nil:
			p := running
			running = nil
			close(p.stop)
			err := <-p.told
			if next = p.next(); err != nil {
				return Answer{}, fmt.Errorf("end: %w", err)
			}
			return p.gap(), nil
		default:
			return Answer{}, fmt.Errorf("unknown command %q, or not at this time", line)
		}
	})
}

// A pulse is one series of attempts. The initial sequence number of an attempt is its number in the life
// of the program, and determines its source.
type pulse struct {
	sources netip.Prefix
	target  netip.AddrPort
	send    int // raw(7)
	receive int // packet(7)

	first    uint32 // number of attempts[0]
	attempts []attempt
	row      int // how many before the last one, one after the other, were answered

	told chan error    // by run: the service answers steadily, after begin and after end
	stop chan struct{} // closed by end
}

type attempt struct {
	sent     int64 // CLOCK_MONOTONIC, before the system call
	answered bool
}

func newPulse(sources, target string, first uint32) (*pulse, error) {
	p := &pulse{first: first, told: make(chan error), stop: make(chan struct{})}
	var err error
	if p.sources, err = netip.ParsePrefix(sources); err != nil {
		return nil, err
	}
	if p.target, err = netip.ParseAddrPort(target); err != nil {
		return nil, err
	}
	if !p.sources.Addr().Is4() || !p.target.Addr().Is4() {
		return nil, errors.New("sources and service have to be of IPv4")
	}
	if p.send, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return nil, fmt.Errorf("raw socket: %w", err)
	}
	if p.receive, err = ear(p.sources, p.target.Addr()); err != nil {
		unix.Close(p.send)
		return nil, err
	}
	return p, nil
}

// ear is a packet socket that gets the SYN-ACKs of a service to the sources, with the times of their arrival.
func ear(sources netip.Prefix, service netip.Addr) (fd int, err error) {
	network := binary.BigEndian.Uint32(sources.Masked().Addr().AsSlice())
	mask := ^uint32(0) << (32 - sources.Bits())
	const reject = 11
	program, err := bpf.Assemble([]bpf.Instruction{
		0:      bpf.LoadAbsolute{Off: 9, Size: 1},
		1:      bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: reject - 2},
		2:      bpf.LoadAbsolute{Off: 12, Size: 4},
		3:      bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(service.AsSlice()), SkipTrue: reject - 4},
		4:      bpf.LoadAbsolute{Off: 16, Size: 4},
		5:      bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
		6:      bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: network, SkipTrue: reject - 7},
		7:      bpf.LoadAbsolute{Off: flagsAt, Size: 1},
		8:      bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(segment.SYN | segment.ACK | segment.RST)},
		9:      bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(segment.SYN | segment.ACK), SkipTrue: reject - 10},
		10:     bpf.RetConstant{Val: headers},
		reject: bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return -1, fmt.Errorf("filter of SYN-ACKs: %w", err)
	}
	filter := make([]unix.SockFilter, len(program))
	for i, instruction := range program {
		filter[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	// It hears nothing before it is bound to a protocol, and so nothing that the filter would not let in.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}
	if err == nil {
		const ipv4 = unix.ETH_P_IP
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{ipv4 >> 8, ipv4 & 0xff})})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

// Places in a packet whose IP header has no options, as kernels send SYN-ACKs.
const (
	tcpAt   = 20
	ackAt   = tcpAt + 8
	flagsAt = tcpAt + 13
	headers = tcpAt + 20
)

// run is what happens between begin and the answer to end.
func (p *pulse) run() {
	// The thread ends with the function: its priority is nobody else's.
	runtime.LockOSThread()
	// Without the right to it, it waits for a processor like all others: gaps get longer, never shorter.
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 2}, 0)
	defer unix.Close(p.send)
	defer unix.Close(p.receive)
	err := p.untilSteady()
	p.told <- err
	if err != nil {
		return
	}
	err = p.until(func() bool {
		select {
		case <-p.stop:
			return true
		default:
			return false
		}
	})
	if err == nil {
		err = p.untilSteady()
	}
	p.told <- err
}

// untilSteady makes attempts until enough in a row were answered from now on.
func (p *pulse) untilSteady() error {
	p.row = 0
	limit, late := monotonic.Now()+int64(steadyLimit), false
	err := p.until(func() bool {
		late = monotonic.Now() > limit
		return late || p.row >= steady
	})
	if err == nil && late {
		err = fmt.Errorf("%s did not answer %d attempts in a row within %v", p.target, steady, steadyLimit)
	}
	return err
}

// until makes an attempt every millisecond. Those that come too late are left out, not made up for.
func (p *pulse) until(done func() bool) error {
	for due := monotonic.Now(); !done(); due = max(due+int64(pulseEvery), monotonic.Now()) {
		at := unix.NsecToTimespec(due)
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
		}
		if err := p.listen(); err != nil {
			return err
		}
		if err := p.attempt(); err != nil {
			return err
		}
	}
	return nil
}

// next is the number of the attempt after the last.
func (p *pulse) next() uint32 { return p.first + uint32(len(p.attempts)) }

// source is the one of an attempt: ports in turn, and after all of them the next address.
func (p *pulse) source(number uint32) netip.AddrPort {
	addresses := uint32(1)<<(32-p.sources.Bits()) - 2 // without the first and the last
	address := p.sources.Masked().Addr().As4()
	last := binary.BigEndian.Uint32(address[:]) + 1 + number/ports%addresses
	binary.BigEndian.PutUint32(address[:], last)
	return netip.AddrPortFrom(netip.AddrFrom4(address), uint16(firstPort+number%ports))
}

func (p *pulse) attempt() error {
	number := p.next()
	if last := len(p.attempts) - 1; last >= 0 && p.attempts[last].answered {
		p.row++
	} else {
		p.row = 0
	}
	syn := segment.NewSYN(p.source(number), p.target)
	syn.Seq = number
	p.attempts = append(p.attempts, attempt{sent: monotonic.Now()})
	return p.out(syn)
}

// out sends a segment. One that the kernel has no way for is an attempt that is not answered.
func (p *pulse) out(s segment.Segment) error {
	packet, err := s.Packet()
	if err == nil {
		err = unix.Sendto(p.send, packet, 0, &unix.SockaddrInet4{Addr: s.Dst.Addr().As4()})
	}
	if err != nil && !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.ENOBUFS) {
		return fmt.Errorf("send %s: %w", s, err)
	}
	return nil
}

// listen takes the answers that are there.
func (p *pulse) listen() error {
	var packet, control [128]byte
	for {
		n, length, _, _, err := unix.Recvmsg(p.receive, packet[:], control[:], unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return fmt.Errorf("receive SYN-ACKs: %w", err)
		case n < headers:
			continue
		}
		arrived, err := arrival(control[:length])
		if err != nil {
			return err
		}
		acknowledged := binary.BigEndian.Uint32(packet[ackAt:])
		number := acknowledged - 1
		i := number - p.first
		if i >= uint32(len(p.attempts)) { // of a pulse before
			continue
		}
		if arrived-p.attempts[i].sent < int64(answerLimit) {
			p.attempts[i].answered = true
		}
		if err := p.out(segment.NewRST(p.source(number), p.target, acknowledged)); err != nil {
			return err
		}
	}
}

// arrival is the time of a packet's arrival, of CLOCK_MONOTONIC.
func arrival(control []byte) (int64, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, fmt.Errorf("receive SYN-ACKs: %w", err)
	}
	for _, message := range messages {
		if message.Header.Level == unix.SOL_SOCKET && message.Header.Type == unix.SO_TIMESTAMPNS && len(message.Data) >= 16 {
			at := time.Unix(int64(binary.NativeEndian.Uint64(message.Data)), int64(binary.NativeEndian.Uint64(message.Data[8:])))
			return monotonic.Now() - int64(time.Since(at)), nil
		}
	}
	return 0, errors.New("receive SYN-ACKs: one has no time of arrival")
}

// gap is the longest time between two answered attempts with none between them.
func (p *pulse) gap() Answer {
	var longest Answer
	last := int64(0)
	for _, a := range p.attempts {
		if !a.answered {
			continue
		}
		if last != 0 && a.sent-last > longest.Ended-longest.Began {
			longest = Answer{Began: last, Ended: a.sent}
		}
		last = a.sent
	}
	return longest
}
