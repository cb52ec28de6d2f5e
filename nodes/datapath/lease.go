package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The lease of an owned DVIPA is an element of the set owned, whose timeout Renew puts off by packets
// that a chain at egress of lo sees: no transaction, and done when the system call returns. What
// only the owner does asks for the element, so that it ends by itself when the process is
// frozen.
//
// A process may be stopped at any instruction, also between asking whether it is the owner and
// renewing, and go on when another stack has taken the DVIPA. So each Renew first sends one packet that
// opens a window, then asks, then sends those that renew, and the kernel heeds them within the window
// alone: however long the process stood, no lease ends later than window and lease after it
// asked.

const (
	// MinLease is the shortest lease: a turn of renewals each 40 ms may fail, or come late.
	MinLease = 50 * time.Millisecond
	// window is how long renewals are heeded. The step of a kernel's clock, 10 ms at most
	// (CONFIG_HZ), may be missing at its end.
	window = 20 * time.Millisecond
	// fresh is how old the beat may be when a renewal is sent.
	fresh = 10 * time.Millisecond
	// LeaseMargin is how much later than a lease after the last beat it may end.
	LeaseMargin = window + fresh
)

// leaseMark is the mark of the packets, "vipa" in ASCII. To mark a packet takes CAP_NET_ADMIN, as it
// takes to change the table; a packet that came from outside has no mark.
const leaseMark = 0x76697061

// loopback is the interface that the packets are sent on, and never arrive from: they are dropped as they leave.
const loopback = "lo"

// awake has leaseMark as an element while renewals are heeded. An element that has run out is
// collected a second later, so there are some fifty.
var awake = set{name: "awake", key: nftables.TypeMark, size: 1024, dynamic: true}

// wake is the source of the packet that opens the window.
var wake = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// leaseRules are those of the chain at egress of lo.
func leaseRules(figures []figure) []rule {
	var rules []rule
	add := func(comment string, parts ...code) {
		rules = append(rules, rule{chain: chainLease, code: slices.Concat(parts...), comment: comment})
	}
	mark := code{nft{&expr.Meta{Key: expr.MetaKeyMARK, Register: register(0)}}}
	add("", mark, unequal(register(0), native(leaseMark)...), accept)
	add("", etherType(unix.ETH_P_IP), load(0, field{network, ipv4.source, ipv4.address.Bytes}), equal(register(0), wake.AsSlice()...),
		mark, update(awake, register(0), window), drop)
	for _, g := range figures {
		add(pathRenewed, mark, in(awake, register(0)),
			etherType(g.etherType), load(0, field{network, g.source, g.address.Bytes}), update(g.owned, register(0), g.lease),
			counter, drop)
	}
	add(pathLate, counter, drop)
	return rules
}

// A lease sends the packets.
type lease struct {
	fd int
	to unix.RawSockaddrLinklayer

	// mu is held while packets are sent, so that no renewal of a DVIPA follows its drop.
	mu    sync.Mutex
	owned []renewal
}

// A renewal is the packet that renews the lease of a DVIPA.
type renewal struct {
	dvipa  netip.Addr
	packet []byte
}

func openLease() (*lease, error) {
	// Protocol 0: the socket receives nothing.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: needs CAP_NET_ADMIN and CAP_NET_RAW over the network namespace: %w", err)
	}
	l := &lease{fd: fd}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, leaseMark); err != nil {
		return nil, errors.Join(fmt.Errorf("mark packets: needs CAP_NET_ADMIN over the network namespace: %w", err), l.close())
	}
	index, err := interfaceIndex(fd, loopback)
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.to = unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Ifindex: int32(index), Halen: 6}
	return l, nil
}

func interfaceIndex(fd int, name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("find interface %q: %w", name, err)
	}
	return int(request.Uint32()), nil
}

func (l *lease) close() error { return os.NewSyscallError("close", unix.Close(l.fd)) }

func (l *lease) add(dvipa netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(l.owned, func(r renewal) bool { return r.dvipa == dvipa }) {
		l.owned = append(l.owned, renewal{dvipa, header(dvipa)})
	}
}

// drop ends renewals of a DVIPA: none is on the way when it returns.
func (l *lease) drop(dvipa netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owned = slices.DeleteFunc(l.owned, func(r renewal) bool { return r.dvipa == dvipa })
}

// header is a packet without content from an address to itself: no next header (59, RFC 8200
// section 4.7), which IPv4 leaves unassigned.
func header(source netip.Addr) []byte {
	const nothing = 59
	var b []byte
	if source.Is4() {
		b = []byte{0: 0x45, 3: 20, 8: 1, 9: nothing, 11: 0}
	} else {
		b = []byte{0: 0x60, 6: nothing, 7: 1}
	}
	b = append(b, source.AsSlice()...)
	return append(b, source.AsSlice()...)
}

var wakePacket = header(wake)

// send sends a packet. The kernel says ENOBUFS for one that a chain at egress has dropped.
func (l *lease) send(packet []byte) error {
	protocol := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		protocol = unix.ETH_P_IPV6
	}
	l.to.Protocol = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol))
	// A raw system call: this one does not wait, and its thread has to go on at once.
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(l.fd), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)),
		0, uintptr(unsafe.Pointer(&l.to)), unix.SizeofSockaddrLinklayer)
	switch errno {
	case unix.ENOBUFS:
		return nil
	case 0:
		return errors.New("the packet was let pass: the table netdev vipa was changed by somebody else")
	}
	return fmt.Errorf("send on %s: %w", loopback, errno)
}

// Begin has the leases of all owned DVIPAs begin with the next Renew. It is to be called after an Apply of Advertise, once
// the DVIPA is an address of the stack: what a lease lets in the kernel would else forward as a router.
func (p *Path) Begin() {
	for dvipa := range p.state.owned {
		p.lease.add(dvipa)
	}
}

// Renew begins or puts off the leases of the DVIPAs of Begin that holds confirms, by Config.Lease from
// now. It is to be called each portfile.BeatInterval, and at once after Begin. beat, called
// first, tells other stacks the present time (portfile.Heartbeat); no lease ends later than
// portfile.Lapse after it. holds asks whether this stack has the ownership epoch of a DVIPA
// still; it is called for each while no other method changes what is owned, and must be quick.
// Where this process was held up so long in between that others may have waited enough, nothing is
// renewed, and a *LateError says so.
func (p *Path) Renew(beat func(), holds func(dvipa netip.Addr) bool) error {
	l := p.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	before := time.Now()
	beat()
	if len(l.owned) == 0 {
		return nil
	}
	if err := l.send(wakePacket); err != nil {
		return fmt.Errorf("renew leases: %w", err)
	}
	for _, r := range l.owned {
		if !holds(r.dvipa) {
			continue
		}
		if late := time.Since(before); late > fresh {
			return &LateError{By: late}
		}
		if err := l.send(r.packet); err != nil {
			return fmt.Errorf("renew lease of %v: %w", r.dvipa, err)
		}
	}
	return nil
}

// A LateError: a Renew took so long that leases were not renewed; the next one may succeed.
type LateError struct {
	By time.Duration // how long it took until then
}

func (e *LateError) Error() string {
	return fmt.Sprintf("renew leases: held up for %v, want %v at most: the machine is overloaded, or the process was stopped", e.By, fresh)
}
