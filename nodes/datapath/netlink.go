package datapath

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// socketBuffer holds the largest transaction and its answers; without CAP_NET_ADMIN in the
	// initial user namespace the kernel caps it (net.core.wmem_max), which still holds
	// maxElements elements.
	socketBuffer = 4 << 20
	// answerBuffer is larger than any datagram of a dump (NLMSG_GOODSIZE grows to 32 KiB,
	// net/netlink/af_netlink.c).
	answerBuffer = 64 << 10
	// kernelPatience bounds the wait for an answer that the kernel gives at once.
	kernelPatience = 30 * time.Second
)

// A socket speaks nf_tables netlink with the network namespace it was opened in.
type socket struct {
	mu sync.Mutex
	c  *netlink.Conn
}

func openSocket() (*socket, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: answerBuffer})
	if err != nil {
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			return nil, fmt.Errorf("%w: the kernel has no netfilter netlink (CONFIG_NETFILTER_NETLINK): %w", ErrUnsupported, err)
		}
		return nil, fmt.Errorf("open netfilter netlink socket: %w", err)
	}
	for _, set := range []func(int) error{c.SetReadBuffer, c.SetWriteBuffer} {
		if err := set(socketBuffer); err != nil {
			c.Close()
			return nil, fmt.Errorf("size buffers of netfilter netlink socket: %w", err)
		}
	}
	if err := c.SetOption(netlink.ExtendedAcknowledge, true); err != nil {
		c.Close()
		return nil, fmt.Errorf("ask netfilter netlink socket for extended acknowledgements: %w", err)
	}
	return &socket{c: c}, nil
}

func (s *socket) Close() error { return s.c.Close() }

// commit sends a batch as one transaction: all of it takes effect at one moment, or none. The
// error names the first message that the kernel refused.
func (s *socket) commit(b *batch) error {
	if len(b.messages) == 0 {
		return nil
	}
	return s.transact(b, true)
}

// check lets the kernel look at a batch without its taking effect: a batch without an end is
// taken back (nfnetlink_rcv_batch).
func (s *socket) check(b *batch) error { return s.transact(b, false) }

func (s *socket) transact(b *batch, end bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := append([]netlink.Message{batchEdge(unix.NFNL_MSG_BATCH_BEGIN)}, b.messages...)
	// The kernel answers for refused messages in any case; an acknowledgement of the last one
	// says that the transaction is through.
	messages[len(messages)-1].Header.Flags |= netlink.Acknowledge
	if end {
		messages = append(messages, batchEdge(unix.NFNL_MSG_BATCH_END))
	}
	sent, err := s.c.SendMessages(messages)
	if err != nil {
		return fmt.Errorf("send %d nftables changes: %w", len(b.messages), err)
	}
	begin, last := sent[0].Header.Sequence, sent[len(b.messages)].Header.Sequence

	var refused error
	err = s.answers(begin, last, func(m netlink.Message, failure error) (bool, error) {
		sequence := m.Header.Sequence
		if failure != nil && refused == nil {
			if sequence == begin {
				refused = failure
			} else {
				refused = fmt.Errorf("%s: %w", b.what[sequence-begin-1], failure)
			}
		}
		return sequence == begin || sequence == last, nil
	})
	return errors.Join(refused, err)
}

// answers hands each answer to the requests with sequence numbers begin to last to fn, until
// fn says that it has all or fails. An answer that is an error arrives with the header's
// sequence number alone.
func (s *socket) answers(begin, last uint32, fn func(m netlink.Message, failure error) (done bool, err error)) error {
	if err := s.c.SetReadDeadline(time.Now().Add(kernelPatience)); err != nil {
		return fmt.Errorf("set deadline of netfilter netlink socket: %w", err)
	}
	for {
		for m, failure := range s.c.ReceiveIter() {
			if failure != nil {
				var op *netlink.OpError
				if !errors.As(failure, &op) || op.Sequence == 0 {
					return fmt.Errorf("receive answer of nftables: %w", failure)
				}
				m.Header.Sequence = op.Sequence
				failure = kernelError(op)
			}
			if m.Header.Sequence-begin > last-begin {
				continue // left over from a request that was given up
			}
			if done, err := fn(m, failure); done || err != nil {
				return err
			}
		}
	}
}

// kernelError keeps the errno and the kernel's own words of an answer.
func kernelError(op *netlink.OpError) error {
	err := op.Err
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	if op.Message != "" {
		return fmt.Errorf("%w (%s)", err, op.Message)
	}
	return err
}

// dump asks for a list and hands each of its messages to fn; what says what is listed.
func (s *socket) dump(what string, request netlink.Message, fn func(netlink.Message) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	request.Header.Flags |= netlink.Request | netlink.Dump
	sent, err := s.c.Send(request)
	if err != nil {
		return fmt.Errorf("list %s: %w", what, err)
	}
	if err := s.c.SetReadDeadline(time.Now().Add(kernelPatience)); err != nil {
		return fmt.Errorf("list %s: %w", what, err)
	}
	var failed error
	for m, err := range s.c.ReceiveIter() {
		if err != nil {
			return fmt.Errorf("list %s: %w", what, err)
		}
		if failed == nil && m.Header.Sequence == sent.Header.Sequence {
			failed = fn(m)
		}
	}
	if failed != nil {
		return fmt.Errorf("list %s: %w", what, failed)
	}
	return nil
}
