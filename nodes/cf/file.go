package cf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// File is the Facility that the port file is. A stack whose file is lost or damaged is degraded:
// what needs the file fails, with an error that says why, until the file is whole again, and
// what the stack holds is kept in mind and registered then. A file that was removed is made anew by
// whoever notices first.
type File struct {
	config Config
	self   portfile.Member
	book   book
	// current is the file in use; nil while degraded.
	current atomic.Pointer[mapping]
	// registering is locked while what the book holds is written into a new file, so that nothing
	// is given back meanwhile.
	registering sync.Mutex
	// resting are the ports that rest, whoever gave them back, as far as this stack knows apart from the file in use;
	// guarded by registering.
	resting rests

	mu      sync.Mutex
	problem error // why it is degraded
	// unread: a file that was removed has yet to be read for ports that others marked there on
	// behalf of this stack.
	unread bool
	// troubled: the log has been told that the file cannot be used, and not yet that it can be again.
	troubled bool

	// Of the watcher alone: old is the file before the current one, whose locks tell who
	// lives until the current one is settled; members are the stacks of the last whole file, by slot.
	// damaged: of the last file some could not be read when it was given up. ended: it has yet to be read for what
	// rests there.
	old            *mapping
	members        map[int]portfile.Member
	damaged, ended bool

	own            *pulse.Pulse  // nil where there is another
	kick, replaced chan struct{} // of capacity 1
	stop           context.CancelFunc
	closed         sync.Once
	done           chan struct{}
}

var _ Facility = (*File)(nil)

// Open joins the port file, and makes it if there is none. It fails for an invalid configuration
// alone: a file that cannot be used makes the Facility degraded, which View tells.
func Open(c Config) (*File, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	f := &File{
		config: c, book: book{dvipas: map[netip.Addr]*holding{}}, problem: errRemoved,
		self: portfile.Member{State: portfile.SlotExpected, Incarnation: c.Self.Incarnation, PID: uint32(os.Getpid()), XCF: c.Self.XCF.Unmap(), Stack: c.Self.Stack},
		kick: make(chan struct{}, 1), replaced: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if c.Pulse == nil {
		own, err := pulse.New()
		if err != nil {
			return nil, err
		}
		f.config.Pulse, f.own = own, own
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.check(ctx)
	go f.watch(ctx)
	return f, nil
}

// Close leaves the file; the lock of the slot ends with it, and the other stacks take back what this
// one holds. Nothing but Close may be called any more, which does nothing then, and no claim may be open.
func (f *File) Close() error {
	f.closed.Do(f.close)
	return nil
}

func (f *File) close() {
	f.stop()
	<-f.done
	if f.own != nil {
		_ = f.own.Close()
	}
	for _, m := range []*mapping{f.current.Swap(nil), f.old} {
		if m != nil {
			m.close()
		}
	}
}

func (f *File) watch(ctx context.Context) {
	defer close(f.done)
	timer := f.config.Pulse.Timer()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.kick:
		}
		f.check(ctx)
		timer.Reset(f.config.Pulse.Next(time.Now(), f.config.Check))
	}
}

// check is what happens periodically.
func (f *File) check(ctx context.Context) {
	m := f.current.Load()
	if m != nil {
		if err := m.check(f.self); err != nil {
			f.degrade(m, err)
			m = nil
		}
	}
	if m == nil {
		m = f.attach(ctx)
	}
	if m != nil {
		f.sweep(ctx, m)
	}
}

// degrade stops using a file.
func (f *File) degrade(m *mapping, err error) {
	f.mu.Lock()
	f.unread = errors.Is(err, errRemoved)
	f.mu.Unlock()
	f.current.Store(nil)
	if f.old != nil && f.old != m && f.old.users.Load() == 0 {
		f.old.close()
	}
	f.old = m
	f.damaged, f.ended = !errors.Is(err, errRemoved), true
	if !f.damaged {
		f.members = m.members() // as nothing is wrong with it
	}
	f.trouble(err)
}

// trouble notes why the facility is degraded, and logs it once.
func (f *File) trouble(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problem == nil || f.problem.Error() != err.Error() {
		f.config.Logger.Warn("the port file cannot be used, no port is given out", "path", f.config.Path, "problem", err)
		f.troubled = true
	}
	f.problem = err
}

// relief tells the log that ports are given out again.
func (f *File) relief(m *mapping) {
	f.mu.Lock()
	troubled := f.troubled
	f.troubled = false
	f.mu.Unlock()
	if !troubled {
		return
	}
	stacks := 0
	for _, member := range m.members() {
		if member.State == portfile.SlotLive {
			stacks++
		}
	}
	f.config.Logger.Info(fmt.Sprintf("port file %s is usable again: filled from %d stacks", f.config.Path, stacks))
}

// attach joins the file at the path, or makes it, and registers what this stack holds. It returns
// nil if that does not succeed yet.
func (f *File) attach(ctx context.Context) *mapping {
	if f.old != nil && f.old.users.Load() > 0 {
		return nil // somebody may add to what this stack holds
	}
	f.read()
	m, err := f.join(ctx)
	if err != nil {
		f.trouble(err)
		return nil
	}
	f.mu.Lock()
	f.problem = nil
	f.mu.Unlock()
	if f.damaged {
		signal(f.replaced)
	}
	f.damaged = false
	return m
}

// read takes in what a file says that nobody uses any more: what rests in it, and, where it was removed, what this
// stack holds there.
func (f *File) read() {
	f.registering.Lock()
	defer f.registering.Unlock()
	if f.ended {
		f.ended = false
		// Where it is damaged as well, what this stack knows itself has to do.
		f.damaged = f.collect(f.old, func(int) bool { return false }) != nil || f.damaged
	}
	if !f.isUnread() {
		return
	}
	err := f.old.safely(func() error {
		for i := range f.old.entries {
			record, live, err := f.old.record(i)
			if err != nil || !live || !portfile.Prepared(f.old.entry(i), f.old.slot) || f.old.entries[i].stale.Load() {
				continue
			}
			held := f.book.of(record.DVIPA)
			for port := range portfile.Usage(f.old.entry(i), f.old.slot).Ports {
				held.add(port, useOf(f.old.entry(i), port))
			}
		}
		return nil
	})
	f.damaged = f.damaged || err != nil
	f.mu.Lock()
	f.unread = false
	f.mu.Unlock()
}

// goneSince says whether the stack that had a slot of the old file is known not to live any more: it has let go of
// that file, and has not come to the next one.
func (f *File) goneSince(slot int, next map[int]portfile.Member) bool {
	before, member := f.members[slot]
	if !member || f.holds(slot) {
		return false
	}
	for _, m := range next {
		if m.XCF == before.XCF && m.Incarnation == before.Incarnation && m.State == portfile.SlotLive {
			return false
		}
	}
	return true
}

func (f *File) isUnread() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unread
}

func (f *File) join(ctx context.Context) (*mapping, error) {
	m, err := openMapping(&f.config, &f.book)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createFile(&f.config, f.alive()); err == nil {
			m, err = openMapping(&f.config, &f.book)
		}
	}
	if err != nil {
		return nil, err
	}
	if f.old != nil && f.old.inode == m.inode && f.old.device == m.device {
		// It was damaged and is whole again. What it says of this stack is left over.
		f.old.close()
		f.old = nil
	}
	f.registering.Lock()
	defer f.registering.Unlock()
	if err = m.join(ctx, f.self, f.book.any(), f.config.InUse); err == nil {
		err = f.register(ctx, m)
	}
	if err != nil {
		m.close()
		return nil, err
	}
	f.current.Store(m)
	return m, nil
}

// alive are the members whose process lived in the file before, which their locks there tell.
func (f *File) alive() map[int]portfile.Member {
	alive := map[int]portfile.Member{}
	for slot, member := range f.members {
		if f.holds(slot) {
			alive[slot] = member
		}
	}
	return alive
}

// holds says whether somebody has the lock of a slot of the old file.
func (f *File) holds(slot int) bool {
	if f.old == nil {
		return false
	}
	if slot == f.old.slot {
		return true
	}
	held, err := lockedByOther(f.old.fd, portfile.SlotOffset(slot))
	return err == nil && held
}

// gone says whether a member that is expected is known not to live any more.
func (f *File) gone(member portfile.Member) bool {
	for slot, before := range f.members {
		if before.XCF == member.XCF {
			return f.old != nil && !f.holds(slot)
		}
	}
	return false
}

// register writes what this stack holds into a file that it has joined.
func (f *File) register(ctx context.Context, m *mapping) error {
	for dvipa, held := range f.book.all() {
		conflicts, err := m.mark(ctx, dvipa, f.pool(), m.slot, held.ports())
		if err != nil {
			return err
		}
		for _, conflict := range conflicts {
			f.config.Logger.Error("a port is held twice", "dvipa", dvipa, "port", conflict.Port, "holder", conflict.Holder)
		}
	}
	for dvipa, held := range f.book.all() {
		for port, until := range held.interrupted.left() {
			f.resting.add(dvipa, port, until, bootTime())
		}
	}
	if f.old != nil {
		next := m.members()
		_ = f.collect(f.old, func(slot int) bool { return f.goneSince(slot, next) }) // what can be read
	}
	if err := f.letRest(ctx, m); err != nil {
		return err
	}
	if err := m.leftOver(ctx); err != nil && !errors.As(err, new(*BusyError)) {
		return err
	}
	return m.setSlotState(m.slot, portfile.SlotLive)
}

// watched is how many living stacks each looks after. One would do: going round from its own slot,
// each one takes back what the dead before the next living one held.
const watched = 3

// sweep takes back what stacks held that are gone, and settles the file.
func (f *File) sweep(ctx context.Context, m *mapping) {
	members := m.members()
	alive := 0
	for next := range portfile.MaxMembers {
		slot := (m.slot + next) % portfile.MaxMembers
		member, found := members[slot]
		if !found || slot == m.slot || member.State == portfile.SlotExpected || alive == watched {
			continue
		}
		if err := f.reclaim(ctx, m, slot, member); errors.Is(err, ErrAlive) {
			alive++
		}
	}
	if !m.tidy.Load() {
		// Where an entry is locked by one that is frozen, the next time will do.
		soon, cancel := context.WithTimeout(ctx, f.config.Check)
		_ = m.leftOver(soon)
		cancel()
	}
	gone := map[netip.Addr]bool{}
	for _, member := range members {
		if member.State == portfile.SlotExpected && f.gone(member) {
			gone[member.XCF] = true
		}
	}
	f.inherit(ctx, m, gone)
	waiting, err := m.settle(ctx, func(member portfile.Member) bool { return gone[member.XCF] })
	if err != nil || waiting != nil || !f.isSettled(m) {
		return
	}
	f.members = members
	f.relief(m)
	if f.old != nil && f.old.users.Load() == 0 {
		f.old.close()
		f.old = nil
	}
}

func (f *File) isSettled(m *mapping) bool {
	var settled bool
	err := m.safely(func() error { settled = m.settled(); return nil })
	return err == nil && settled
}

// reclaim takes back what a stack held, and logs it.
func (f *File) reclaim(ctx context.Context, m *mapping, slot int, member portfile.Member) error {
	n, err := m.reclaim(ctx, slot)
	if err == nil || errors.Is(err, errReclaimed) {
		f.remember(m)
	}
	if errors.Is(err, errReclaimed) {
		return nil
	}
	if n > 0 || err == nil {
		f.config.Logger.Info("took back the ports of a stack that is gone", "member", member.Stack, "xcf", member.XCF, "incarnation", member.Incarnation, "ports", n)
	}
	return err
}

func (f *File) pool() portfile.Pool {
	return portfile.Pool{First: f.config.Pool.First, Last: f.config.Pool.Last}
}

// use returns the file to work on, until done with it, or why there is none.
func (f *File) use() (*mapping, error) {
	for {
		m := f.current.Load()
		if m == nil {
			return nil, f.degraded()
		}
		m.users.Add(1)
		if f.current.Load() == m {
			return m, nil
		}
		m.users.Add(-1)
	}
}

// degraded is why there is no file to use.
func (f *File) degraded() error {
	f.mu.Lock()
	problem := f.problem
	f.mu.Unlock()
	if problem == nil {
		problem = errRemoved // and only just found so
	}
	return f.explain(problem)
}

// explain makes an error of the file one for whoever asked, and has the file checked where that
// may be the reason.
func (f *File) explain(err error) error {
	if errors.Is(err, errRemoved) {
		f.recheck()
		return &FillingError{Path: f.config.Path, Waiting: []string{describe(f.self)}}
	}
	if errors.As(err, new(*DamagedError)) {
		f.recheck()
	}
	return err
}

// Inherited are the ports of Config.InUse that became this stack's since the last call: they are to be released once
// nothing uses them.
func (f *File) Inherited() map[netip.Addr][]uint16 { return f.book.takeInherited() }

// recheck has the watcher check the file now.
func (f *File) recheck() { signal(f.kick) }

// signal puts into a channel of capacity 1 what is not there already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Replaced tells that this stack has registered what it holds in a file that is used in place of a damaged one.
// What the stack was not told of but marked for by others alone (Mark) is not there: a file that is removed is
// read for it, a damaged one cannot be. The channel has capacity 1, for one reader.
func (f *File) Replaced() <-chan struct{} { return f.replaced }
