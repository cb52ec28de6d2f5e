// Package capture records what passes the interfaces of a lab: in memory for verdicts, and in one
// pcapng file as evidence. It never enters a namespace; the lab hands it packet sockets.
//
// Nothing is lost unseen: packets wait in a ring of the kernel's, and where that was full every
// conclusion from an absence is refused with a LossError.
package capture

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/segment"
)

// A Source is an interface to be recorded.
type Source struct {
	// Name is how packets and file name it, unique within a capture: "MVS1/ext0".
	Name string
	// Socket is of family AF_PACKET and type SOCK_RAW, bound to the interface with ETH_P_ALL.
	// Opening it takes CAP_NET_RAW, using it nothing.
	Socket *os.File
	// Snap is how many bytes of each frame are kept, at least 128, for runs of which only the
	// headers matter; zero keeps all.
	Snap int
	// Late is the most that a packet is recorded late, in whole milliseconds; zero is 4 ms.
	Late time.Duration
	// Block is the memory that is handed over at a time, in bytes, a power of two from 4 KiB on; zero is 128 KiB. Of a frame that does not
	// fit into it the beginning is kept.
	Block int
	// Ring is the memory for packets that the reader has not seen yet, in bytes, rounded up to
	// blocks; zero is 16 MiB. The reader may be kept from running for as many times Late
	// as the ring has blocks, as far as they hold what passes: a run of many packets on a busy machine
	// wants much of both, and the kernel clears all of it before the first packet.
	Ring int
}

// A Capture is under way from Start to Stop. It is safe for concurrent use.
type Capture struct {
	sources []*source
	file    *evidence
	readers sync.WaitGroup
	writer  sync.WaitGroup

	mu      sync.Mutex
	packets []Packet // in the order in which blocks were handed over
	// judgements are the questions that were answered, in the order of their answers.
	judgements []Judgement
	// recorded is closed and made anew with every change of packets, stopped and failure.
	recorded chan struct{}
	lost     map[string]uint64
	// failure is that of a reader, unwritten that of the file.
	failure, unwritten error
	// stopping: Stop was called, at end; stopped: nothing is recorded any more.
	stopping, stopped bool
	end               time.Time
}

type source struct {
	name string
	ring *ring
	// arrived are the packets that the kernel has put into the ring since it counts them, recorded those of them that were taken from
	// it at least; due is how many arrived until Stop. The lock of the capture guards them.
	arrived, recorded, due uint64
}

// Start begins to record, each source as soon as it is open: to make all rings takes longer, on a busy
// machine, than it takes traffic to fill the first. The sockets are taken over. path is the pcapng file to be made, which must
// not exist; empty for none. On an error sockets are closed and no file is left.
func Start(path string, sources ...Source) (_ *Capture, err error) {
	c := &Capture{recorded: make(chan struct{}), lost: map[string]uint64{}}
	defer func() {
		if err != nil {
			c.abandon()
		}
	}()
	var names []string
	for i, s := range sources {
		opened, err := open(s)
		if err != nil {
			closeAll(sources[i+1:])
			return nil, err
		}
		c.sources = append(c.sources, opened)
		if slices.Contains(names, s.Name) {
			closeAll(sources[i+1:])
			return nil, fmt.Errorf("start capture: interface %s is named twice", s.Name)
		}
		names = append(names, s.Name)
		c.readers.Go(func() { c.read(opened) })
	}
	if path != "" {
		if c.file, err = newEvidence(path, names); err != nil {
			return nil, err
		}
	}
	if c.file != nil {
		c.writer.Go(c.write)
	}
	return c, nil
}

// minSnap holds the headers of Ethernet, IPv6 and TCP with options.
const minSnap = 14 + 40 + 60 + 14

func open(s Source) (*source, error) {
	if s.Snap != 0 && s.Snap < minSnap {
		s.Socket.Close()
		return nil, fmt.Errorf("capture on %s: %d bytes of a frame do not hold its headers", s.Name, s.Snap)
	}
	adopted, err := segment.Adopt(s.Socket)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", s.Name, err)
	}
	r, err := newRing(adopted, cmp.Or(s.Ring, ringSize), cmp.Or(s.Block, blockSize), s.Snap, cmp.Or(s.Late, retire))
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", s.Name, err)
	}
	return &source{name: s.Name, ring: r}, nil
}

func closeAll(sources []Source) {
	for _, s := range sources {
		s.Socket.Close()
	}
}

func (c *Capture) abandon() {
	for _, s := range c.sources {
		s.ring.file.SetReadDeadline(time.Now())
	}
	c.readers.Wait()
	for _, s := range c.sources {
		s.ring.close()
	}
}

// read records the packets of one interface until the capture is stopped and the ring is empty.
func (c *Capture) read(s *source) {
	err := s.ring.wait()
	for err == nil {
		if err = c.record(s); err == nil {
			if c.complete(s) {
				return
			}
			err = s.ring.wait()
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// A reader that lagged behind finds what arrived before the end; no more than the ring
		// holds, for traffic may go on.
		err = nil
		for left := s.ring.blocks; left > 0 && err == nil && s.ring.ready(); left-- {
			err = c.record(s)
		}
	}
	if err != nil {
		c.change(func() { c.failure = errors.Join(c.failure, fmt.Errorf("capture on %s: %w", s.name, err)) })
	}
}

// record takes over one block. Loss is asked for with each block, so that no absence is concluded
// while some of it is unknown.
func (c *Capture) record(s *source) error {
	var block []Packet
	var counted uint64
	s.ring.take(func(h *unix.Tpacket3Hdr, outgoing bool, data []byte) {
		at := time.Unix(int64(h.Sec), int64(h.Nsec))
		if !at.Before(s.ring.counts) {
			counted++
		}
		block = append(block, Packet{
			Interface: s.name,
			Time:      at,
			Outgoing:  outgoing,
			Unsummed:  h.Status&unix.TP_STATUS_CSUMNOTREADY != 0,
			Oversized: h.Status&unix.TP_STATUS_GSO_TCP != 0,
			Length:    int(h.Len),
			Data:      slices.Clone(data),
		})
	})
	arrived, lost, err := s.ring.count()
	c.change(func() {
		if c.stopping {
			block = slices.DeleteFunc(block, func(p Packet) bool { return p.Time.After(c.end) })
		}
		c.packets = append(c.packets, block...)
		s.recorded += counted
		c.counted(s, arrived, lost)
	})
	return err
}

// counted takes in what a ring has counted. What it lost after Stop is no loss: nobody asks for it. The caller holds mu.
func (c *Capture) counted(s *source, arrived, lost uint64) {
	s.arrived += arrived
	if !c.stopping {
		c.lost[s.name] += lost
	}
}

// complete: the capture is to end, and what arrived until then is recorded.
func (c *Capture) complete(s *source) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping && s.recorded >= s.due
}

// write follows the record with the file, on a goroutine of its own: a disk that is slow must not
// keep a reader from its ring.
func (c *Capture) write() {
	for at := 0; ; {
		c.mu.Lock()
		fresh, recorded, stopped := c.packets[at:], c.recorded, c.stopped
		c.mu.Unlock()
		if err := c.file.write(fresh); err != nil {
			c.change(func() { c.unwritten = err })
			return
		}
		at += len(fresh)
		if stopped {
			return
		}
		<-recorded
	}
}

func (c *Capture) change(how func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	how()
	close(c.recorded)
	c.recorded = make(chan struct{})
}

// Stop waits for a block that the kernel has not handed over yet, drain times Source.Late at most, and no less than busy: on a busy
// machine the kernel's timer comes late.
const (
	drain = 10
	busy  = 500 * time.Millisecond
)

// Stop records what arrived until now, and nothing later on any interface, ends the capture and completes the file. What was recorded
// stays readable. The error tells of packets that were lost (a *LossError), of interfaces that
// could not be read any more and of a file that could not be written; evidence is incomplete then.
// Stopping again returns nil.
func (c *Capture) Stop() error {
	failures, again := c.endReaders()
	if again {
		return nil
	}
	c.readers.Wait()
	failures = append(failures, c.closeRings())
	c.change(func() {
		failures = append(failures, c.failure, c.loss())
		c.stopped = true
	})
	if c.file != nil {
		c.writer.Wait()
		failures = append(failures, c.unwritten, c.file.finish(c.lost))
	}
	return errors.Join(failures...)
}

// closeRings closes all at once: for each the kernel waits until no processor uses it any more.
func (c *Capture) closeRings() error {
	var closing errgroup.Group
	for _, s := range c.sources {
		closing.Go(s.ring.close)
	}
	return closing.Wait()
}

// endReaders has each reader end once what arrived until now is recorded.
func (c *Capture) endReaders() (failures []error, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, true
	}
	c.end = time.Now()
	for _, s := range c.sources {
		arrived, lost, err := s.ring.count()
		c.counted(s, arrived, lost)
		s.due = s.arrived
		end := time.Now()
		if s.recorded < s.due {
			end = end.Add(max(drain*s.ring.late, busy))
		}
		failures = append(failures, err, s.ring.file.SetReadDeadline(end))
	}
	c.stopping = true
	return failures, false
}
