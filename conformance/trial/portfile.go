package trial

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// A PortFile is the port file of the lab as the suite reads and writes it itself, by the layout of
// the contract: pread and pwrite under the locks that stacks use, through a descriptor of its own,
// for which the kernel keeps locks apart from those of every stack.
type PortFile struct {
	file *os.File
	path string
	pool portfile.Pool // of the plex
}

// PortFile opens the port file once it is there.
func (t *Trial) PortFile() *PortFile {
	ginkgo.GinkgoHelper()
	pool := t.Plan.ClusterPorts
	f := &PortFile{path: t.Lab.PortFile(), pool: portfile.Pool{First: pool.First, Last: pool.Last}}
	gomega.Eventually(func() (err error) {
		f.file, err = os.OpenFile(f.path, os.O_RDWR, 0)
		return err
	}).Should(gomega.Succeed(), "the port file")
	ginkgo.DeferCleanup(func() { f.file.Close() })
	return f
}

// lockLimit is the most that the suite waits for the lock of an entry, which stacks hold for
// microseconds.
const lockLimit = time.Second

// lock takes the OFD lock of one byte and returns what gives it back.
func (f *PortFile) lock(offset int64) (unlock func()) {
	ginkgo.GinkgoHelper()
	set := func(kind int16) error {
		at := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: offset, Len: 1}
		return unix.FcntlFlock(f.file.Fd(), unix.F_OFD_SETLK, &at)
	}
	gomega.Eventually(func() error { return set(unix.F_WRLCK) }).WithTimeout(lockLimit).WithPolling(100*time.Microsecond).
		Should(gomega.Succeed(), "the lock of byte %d of the port file", offset)
	return func() {
		ginkgo.GinkgoHelper()
		verdict.Engine(set(unix.F_UNLCK), "unlock byte %d of the port file", offset)
	}
}

// find is where the entry of a DVIPA begins, by the directory.
func (f *PortFile) find(dvipa netip.Addr) (offset int64, found bool) {
	ginkgo.GinkgoHelper()
	directory := make([]byte, portfile.MaxEntries*portfile.RecordSize)
	f.read(directory, portfile.DirectoryOffset)
	for n := range portfile.MaxEntries {
		record, live, err := portfile.DecodeRecord(directory[n*portfile.RecordSize:])
		if err == nil && live && record.DVIPA == dvipa {
			return portfile.EntryOffset(n), true
		}
	}
	return 0, false
}

func (f *PortFile) read(b []byte, offset int64) {
	ginkgo.GinkgoHelper()
	_, err := f.file.ReadAt(b, offset)
	verdict.Engine(err, "read %d bytes at %d of the port file", len(b), offset)
}

// HasEntry reports whether the file has an entry for a DVIPA.
func (f *PortFile) HasEntry(dvipa netip.Addr) bool {
	ginkgo.GinkgoHelper()
	_, found := f.find(dvipa)
	return found
}

// Activate makes the entries of DVIPAs that have none, as the owner does that a partner plays (T20).
func (f *PortFile) Activate(dvipas ...netip.Addr) {
	ginkgo.GinkgoHelper()
	unlock := f.lock(portfile.DirectoryLock)
	defer unlock()
	for _, dvipa := range dvipas {
		if !f.HasEntry(dvipa) {
			f.make(portfile.Record{DVIPA: dvipa, Pool: f.pool})
		}
	}
}

// make makes an entry in the first place that is free, under the directory's lock.
func (f *PortFile) make(r portfile.Record) {
	ginkgo.GinkgoHelper()
	record := make([]byte, portfile.RecordSize)
	number := 0
	for ; ; number++ {
		f.read(record, portfile.RecordOffset(number))
		if _, live, err := portfile.DecodeRecord(record); err == nil && !live {
			break
		}
	}
	part := portfile.ReservedEntry(number)
	verdict.Engine(unix.Fallocate(int(f.file.Fd()), 0, part.Offset, part.Length), "reserve an entry of the port file")
	entry := make([]byte, part.Length)
	portfile.InitEntry(entry, r)
	f.write(entry, part.Offset)
	r.Encode(record)
	f.write(record[portfile.RecordStateOffset+4:], portfile.RecordOffset(number)+portfile.RecordStateOffset+4)
	f.write(binary.LittleEndian.AppendUint32(nil, portfile.RecordLive), portfile.RecordOffset(number)+portfile.RecordStateOffset)
}

// lockEntry locks the entry of a DVIPA, once there is one, and returns where it begins and what
// unlocks it.
func (f *PortFile) lockEntry(dvipa netip.Addr) (offset int64, unlock func()) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (found bool) {
		offset, found = f.find(dvipa)
		return found
	}).Should(gomega.BeTrue(), "an entry of the port file for %s", dvipa)
	return offset, f.lock(offset)
}

// Entry is a copy of the entry of a DVIPA, taken under its lock.
func (f *PortFile) Entry(dvipa netip.Addr) []byte {
	ginkgo.GinkgoHelper()
	offset, unlock := f.lockEntry(dvipa)
	defer unlock()
	entry := make([]byte, portfile.EntrySize)
	f.read(entry, offset)
	return entry
}

// Header is the header of the file.
func (f *PortFile) Header() portfile.Header {
	ginkgo.GinkgoHelper()
	b := make([]byte, portfile.HeaderSize)
	f.read(b, 0)
	header, err := portfile.DecodeHeader(b)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return header
}

// stack is the name of the stack in a slot.
func (f *PortFile) stack(slot int) string {
	ginkgo.GinkgoHelper()
	b := make([]byte, portfile.SlotSize)
	f.read(b, portfile.SlotOffset(slot))
	member, err := portfile.DecodeMember(b)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "slot %d of the port file", slot)
	return member.Stack
}

// State says how a port of a DVIPA is held, by the bytes of the file: "available", "resting",
// "shared MVS1 MVS2", "unique MVS2"; or "no entry".
func (f *PortFile) State(at netip.AddrPort) string {
	ginkgo.GinkgoHelper()
	if !f.HasEntry(at.Addr()) {
		return noEntry
	}
	entry := f.Entry(at.Addr())
	port := at.Port()
	use := "shared"
	switch {
	case portfile.Available(entry).Has(port) && portfile.RestOf(entry, port).Left(boottime()) > 0:
		return "resting"
	case portfile.Available(entry).Has(port):
		return "available"
	case portfile.Unique(entry).Has(port):
		use = "unique"
	}
	var stacks []string
	for _, slot := range portfile.Holders(entry, port) {
		stacks = append(stacks, f.stack(slot))
	}
	slices.Sort(stacks)
	return strings.Join(append([]string{use}, stacks...), " ")
}

// noEntry is the State of every port of a DVIPA without an entry.
const noEntry = "no entry"

// Expect expects that a port is held so now.
func (f *PortFile) Expect(at netip.AddrPort, state string) {
	ginkgo.GinkgoHelper()
	gomega.Expect(f.State(at)).To(gomega.Equal(state), "%s in the port file", at)
}

// Eventually waits until a port is held so.
func (f *PortFile) Eventually(at netip.AddrPort, state string) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() string { return f.State(at) }).Should(gomega.Equal(state), "%s in the port file", at)
}

// EventuallyFree waits until nobody has a port: it is available, or rests.
func (f *PortFile) EventuallyFree(at netip.AddrPort) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() string { return f.State(at) }).
		Should(gomega.BeElementOf("available", "resting"), "%s in the port file", at)
}

// ExpectUnchanged does something and expects that it has changed no port of a DVIPA: the bitmaps,
// the usage structure and the rest times are what they were, and no update is under way.
func (f *PortFile) ExpectUnchanged(dvipa netip.Addr, what func()) {
	ginkgo.GinkgoHelper()
	before := f.Entry(dvipa)
	what()
	after := f.Entry(dvipa)
	gomega.Expect(bytes.Equal(before[portfile.AvailableOffset:], after[portfile.AvailableOffset:])).
		To(gomega.BeTrue(), "the entry of %s is as it was", dvipa)
	gomega.Expect(binary.LittleEndian.Uint64(after[portfile.IntentOffset:])).To(gomega.BeZero(), "the intent in the entry of %s", dvipa)
}

// ExpectClean expects that the entries of some DVIPAs fit together.
func (f *PortFile) ExpectClean(dvipas ...netip.Addr) {
	ginkgo.GinkgoHelper()
	for _, dvipa := range dvipas {
		gomega.Expect(portfile.Audit(f.Entry(dvipa), nil)).To(gomega.BeEmpty(), "findings in the entry of %s", dvipa)
	}
}

// Freeze takes the lock of an entry, as a stack that stops inside an update has it, and returns what
// gives it back.
func (f *PortFile) Freeze(dvipa netip.Addr) (thaw func()) {
	ginkgo.GinkgoHelper()
	_, thaw = f.lockEntry(dvipa)
	return thaw
}

// boottime is CLOCK_BOOTTIME, the clock of the port file.
func boottime() time.Duration { return clock(unix.CLOCK_BOOTTIME) }

// clock is what a clock of the kernel shows.
func clock(id int32) time.Duration {
	var ts unix.Timespec
	verdict.Engine(unix.ClockGettime(id, &ts), "read the clock")
	return time.Duration(ts.Nano())
}

// A Tenant is a member of the port file that the suite plays: it has a slot and its lock, and
// takes and frees ports as a stack does. It has a descriptor, and so locks, of its own.
type Tenant struct {
	*PortFile
	number, slot int
	trial        *UnitTrial
}

// Tenant makes MVSn a member of the port file, as an incarnation of its own. It lives until End, or until the
// spec ends.
func (u *UnitTrial) Tenant(n int) *Tenant {
	ginkgo.GinkgoHelper()
	return u.tenant(n, newIncarnation())
}

// Tenant makes the partner itself a member of the port file, in the same way.
func (p *Partner) Tenant() *Tenant {
	ginkgo.GinkgoHelper()
	return p.trial.tenant(p.n, p.identity.Incarnation)
}

func newIncarnation() uint64 { return uint64(time.Now().UnixNano()) }

func (u *UnitTrial) tenant(n int, incarnation uint64) *Tenant {
	ginkgo.GinkgoHelper()
	m := &Tenant{PortFile: u.PortFile(), number: n, trial: u}
	unlock := m.lock(portfile.DirectoryLock)
	defer unlock()
	b := make([]byte, portfile.SlotSize)
	for m.slot = 0; ; m.slot++ {
		m.read(b, portfile.SlotOffset(m.slot))
		if member, err := portfile.DecodeMember(b); err == nil && member.State == portfile.SlotFree {
			break
		}
	}
	m.moveIn(incarnation)
	return m
}

// moveIn takes the slot for an incarnation of the member.
func (m *Tenant) moveIn(incarnation uint64) {
	ginkgo.GinkgoHelper()
	m.lock(portfile.SlotOffset(m.slot))
	b := make([]byte, portfile.SlotSize)
	portfile.Member{
		Incarnation: incarnation, PID: uint32(os.Getpid()),
		XCF: m.trial.family.XCF(m.number), Stack: stackName(m.number),
	}.Encode(b)
	m.store(portfile.SlotOffset(m.slot)+portfile.SlotStateOffset, uint64(portfile.SlotFree))
	m.write(b[8:], portfile.SlotOffset(m.slot)+8)
	m.store(portfile.SlotOffset(m.slot)+portfile.SlotStateOffset, uint64(portfile.SlotLive))
}

// Return makes a member that has ended come back in its slot at once, as a stack that starts anew: it
// frees what its earlier incarnation has left of a DVIPA, and is another incarnation.
func (m *Tenant) Return(dvipa netip.Addr) *Tenant {
	ginkgo.GinkgoHelper()
	again := &Tenant{PortFile: m.trial.PortFile(), number: m.number, slot: m.slot, trial: m.trial}
	again.lock(portfile.SlotOffset(again.slot))
	for port := range portfile.Usage(again.Entry(dvipa), again.slot).Ports {
		again.Free(netip.AddrPortFrom(dvipa, port))
	}
	again.moveIn(newIncarnation())
	return again
}

func (f *PortFile) write(b []byte, offset int64) {
	ginkgo.GinkgoHelper()
	_, err := f.file.WriteAt(b, offset)
	verdict.Engine(err, "write %d bytes at %d of the port file", len(b), offset)
}

func (f *PortFile) store(offset int64, value uint64) {
	ginkgo.GinkgoHelper()
	f.write(binary.LittleEndian.AppendUint64(nil, value), offset)
}

// Take takes ports of one DVIPA.
func (m *Tenant) Take(dvipa netip.Addr, unique bool, ports ...uint16) {
	ginkgo.GinkgoHelper()
	for _, port := range ports {
		m.update(dvipa, -1, func(entry []byte) portfile.Update { return portfile.Take(entry, port, m.slot, unique) })
	}
}

// Free gives a port back.
func (m *Tenant) Free(at netip.AddrPort) {
	ginkgo.GinkgoHelper()
	m.update(at.Addr(), -1, func(entry []byte) portfile.Update { return portfile.Free(entry, at.Port(), m.slot, 0) })
}

// Break takes a port as unique and stops after the first stores of the update, as one that is
// killed there: the lock is free, the update is not complete.
func (m *Tenant) Break(at netip.AddrPort, stores int) {
	ginkgo.GinkgoHelper()
	m.update(at.Addr(), stores, func(entry []byte) portfile.Update { return portfile.Take(entry, at.Port(), m.slot, true) })
}

// TakeLate takes a port as unique, and does something between getting the lock and the first store.
func (m *Tenant) TakeLate(at netip.AddrPort, what func()) {
	ginkgo.GinkgoHelper()
	m.update(at.Addr(), -1, func(entry []byte) portfile.Update {
		what()
		return portfile.Take(entry, at.Port(), m.slot, true)
	})
}

// update makes the first stores of an update, or all where limit is negative.
func (m *Tenant) update(dvipa netip.Addr, limit int, change func(entry []byte) portfile.Update) {
	ginkgo.GinkgoHelper()
	offset, unlock := m.lockEntry(dvipa)
	defer unlock()
	entry := make([]byte, portfile.EntrySize)
	m.read(entry, offset)
	if !portfile.Prepared(entry, m.slot) {
		r := portfile.ReservedUsage(int((offset-portfile.EntriesOffset)/portfile.EntrySize), m.slot)
		verdict.Engine(unix.Fallocate(int(m.file.Fd()), 0, r.Offset, r.Length), "reserve a usage bitmap in the port file")
		prepare := portfile.Prepare(entry, m.slot)
		prepare.Apply(entry)
		m.store(offset+int64(prepare.Offset), prepare.Value)
	}
	update := change(entry)
	for i, s := range update.Stores() {
		if i == limit {
			return
		}
		m.store(offset+int64(s.Offset), s.Value)
	}
}

// Beats lets the member say from now on that it runs and how many others it sees on XCF, until the spec ends.
func (m *Tenant) Beats(sees int) {
	ginkgo.GinkgoHelper()
	slot := portfile.SlotOffset(m.slot)
	m.store(slot+portfile.SightOffset, portfile.Heartbeat{Sees: uint32(sees)}.Sight())
	ticker := time.NewTicker(portfile.BeatInterval)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer ginkgo.GinkgoRecover()
		defer close(stopped)
		for {
			m.store(slot+portfile.BeatOffset, uint64(clock(unix.CLOCK_MONOTONIC)))
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	}()
	ginkgo.DeferCleanup(func() {
		ticker.Stop()
		close(stop)
		<-stopped
	})
}

// End ends the member as the end of its process does: its locks are gone, its slot stays as it is.
func (m *Tenant) End() {
	ginkgo.GinkgoHelper()
	verdict.Engine(m.file.Close(), "close the port file of a member")
}

// Truncate cuts the file.
func (f *PortFile) Truncate(size int64) {
	ginkgo.GinkgoHelper()
	verdict.Engine(f.file.Truncate(size), "truncate the port file")
}

// Unlink removes the file that is at the path now.
func (f *PortFile) Unlink() {
	ginkgo.GinkgoHelper()
	err := os.Remove(f.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	verdict.Engine(err, "remove the port file")
}

// Overwrite puts bytes into the file without a lock, as damage does.
func (f *PortFile) Overwrite(offset int64, b []byte) {
	ginkgo.GinkgoHelper()
	f.write(b, offset)
}

// DamageEntry makes the entry of a DVIPA unreadable and leaves the others alone.
func (f *PortFile) DamageEntry(dvipa netip.Addr) {
	ginkgo.GinkgoHelper()
	offset, found := f.find(dvipa)
	if !found {
		verdict.Engine(fmt.Errorf("%s has none", dvipa), "damage an entry of the port file")
	}
	garbage := make([]byte, portfile.RecordSize-4)
	rand.Read(garbage)
	f.write(garbage, offset+4)
}
