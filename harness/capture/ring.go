package capture

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ring of one interface. It is memory of the kernel's, so that it is bounded neither by
// net.core.rmem_max, which only root of the machine may exceed, nor by the pace of the reader.
const (
	// blockSize is the bytes of a block, unless a source says otherwise. It holds the largest frame, a segment of 64 KiB that
	// was never cut.
	blockSize = 128 << 10
	// ringSize is the bytes of a ring, unless a source says otherwise.
	ringSize = 16 << 20
	// frameSize is not used by version 3, but has to divide blocks.
	frameSize = 2 << 10
	// retire is the longest time until the kernel hands over a block that is not full, unless a
	// source says otherwise, and with it the most that a packet is late. Under steady traffic the
	// ring takes as many times as long to fill as it has blocks, 0.5 s: so long may a reader be kept
	// from running.
	retire = 4 * time.Millisecond
)

// ring is a packet socket with a TPACKET_V3 ring (Documentation/networking/packet_mmap.rst).
type ring struct {
	file   *os.File
	raw    syscall.RawConn
	memory []byte
	late   time.Duration
	// counts is when the kernel had begun to count packets: those from then on are counted, some that came just before may be.
	counts time.Time
	// blocks is how many the ring has, of blockSize bytes each, next the one that is handed over next.
	blocks, blockSize, next int
}

// newRing turns a packet socket into a ring of size bytes in blocks of block bytes that keeps snap bytes of each frame, all where
// snap is zero, and hands packets over at most late. The socket is the ring's from then on; on an error it is closed.
func newRing(file *os.File, size, block, snap int, late time.Duration) (*ring, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	r := &ring{file: file, raw: raw, late: late, blocks: (size + block - 1) / block, blockSize: block}
	size = r.blocks * block
	err = r.control(func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
			return fmt.Errorf("set packet ring version: %w", err)
		}
		if snap > 0 {
			keep := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(snap)}
			program := unix.SockFprog{Len: 1, Filter: &keep}
			if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
				return fmt.Errorf("attach filter: %w", err)
			}
		}
		request := unix.TpacketReq3{
			Block_size: uint32(block), Block_nr: uint32(r.blocks),
			Frame_size: frameSize, Frame_nr: uint32(size / frameSize),
			Retire_blk_tov: uint32(late / time.Millisecond),
		}
		if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
			return fmt.Errorf("set up packet ring of %d bytes: %w", size, err)
		}
		// What the socket could not keep before it had a ring was lost to nobody: the count begins anew.
		if _, err := unix.GetsockoptTpacketStatsV3(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err != nil {
			return fmt.Errorf("reset the count of lost packets: %w", err)
		}
		r.counts = time.Now()
		r.memory, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map packet ring: %w", err)
		}
		return nil
	})
	if err != nil {
		file.Close()
		return nil, err
	}
	return r, nil
}

func (r *ring) control(what func(fd int) error) error {
	var failure error
	err := r.raw.Control(func(fd uintptr) { failure = what(int(fd)) })
	return errors.Join(err, failure)
}

// wait waits until the next block is handed over. A read deadline of the file ends it.
func (r *ring) wait() error {
	return r.raw.Read(func(uintptr) bool { return r.ready() })
}

// ready says whether the next block is handed over.
func (r *ring) ready() bool {
	_, header := r.block()
	return atomic.LoadUint32(&header.Block_status)&unix.TP_STATUS_USER != 0
}

func (r *ring) block() ([]byte, *unix.TpacketHdrV1) {
	block := r.memory[r.next*r.blockSize:][:r.blockSize]
	description := (*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0]))
	return block, (*unix.TpacketHdrV1)(unsafe.Pointer(&description.Hdr[0]))
}

// take calls packet for each packet of the next block, which is ready, in order of arrival, and
// gives the block back. The data is valid during the call only.
func (r *ring) take(packet func(header *unix.Tpacket3Hdr, outgoing bool, data []byte)) {
	block, header := r.block()
	offset := header.Offset_to_first_pkt
	for range header.Num_pkts {
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[offset]))
		link := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&block[offset+unix.SizeofTpacket3Hdr]))
		packet(h, link.Pkttype == unix.PACKET_OUTGOING, block[offset+uint32(h.Mac):][:h.Snaplen])
		offset += h.Next_offset
	}
	atomic.StoreUint32(&header.Block_status, unix.TP_STATUS_KERNEL)
	r.next = (r.next + 1) % r.blocks
}

// count is how many packets the kernel has put into the ring since the last call, whether they were taken or not, and how many
// found it full.
func (r *ring) count() (arrived, lost uint64, err error) {
	var stats *unix.TpacketStatsV3
	err = r.control(func(fd int) (err error) {
		stats, err = unix.GetsockoptTpacketStatsV3(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("ask for lost packets: %w", err)
	}
	// The kernel counts those that were lost among all (packet_getsockopt).
	return uint64(stats.Packets - stats.Drops), uint64(stats.Drops), nil
}

// close gives socket and memory back. No wait may be under way.
func (r *ring) close() error {
	return errors.Join(unix.Munmap(r.memory), r.file.Close())
}
