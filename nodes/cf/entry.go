package cf

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// An entry is the memory of one DVIPA, laid out as portfile says and portfile.EntrySize long,
// wherever it lies: in the mapped file, or on the heap of whoever keeps the table for others.
// Its methods presume that the caller has the entry's lock and that the entry is made
// (portfile.InitEntry) and repaired. Memory that a kill may strike in the middle of a method
// is right again after repair. A slot is the number of a stack, 0 to portfile.MaxMembers-1.
type entry []byte

// store makes one store of an update. The bytes are little-endian, and so are the machines that
// this package is built for.
func (e entry) store(s portfile.Store) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&e[s.Offset])), s.Value)
}

func (e entry) apply(u portfile.Update) {
	for _, s := range u.Stores() {
		e.store(s)
	}
}

// repair completes the update that a lock holder before was killed in. A *portfile.FormatError
// says that what stands there is no intent.
func (e entry) repair() error {
	u, err := portfile.Redo(e)
	if err == nil {
		e.apply(u)
	}
	return err
}

// verdict is the answer to a stack that wants a port.
type verdict struct {
	outcome outcome
	holders []int // slots that hold the port, where it is refused
}

type outcome uint8

const (
	// granted: take the port.
	granted outcome = iota
	// kept: the stack holds the port as it wants it, there is nothing to change.
	kept
	// refused: others hold it (Figure 15, 204-no).
	refused
	// inconsistent: the port is unavailable and nobody holds it, or available and somebody does. The entry is
	// damaged.
	inconsistent
)

// ask says whether the stack of a slot may hold a port (block 204, read with I15 and I18).
func (e entry) ask(port uint16, slot int, use Use) verdict {
	mine, others := portfile.HeldBy(e, port, slot), portfile.HeldByOther(e, port, slot)
	available, unique := portfile.Available(e).Has(port), portfile.Unique(e).Has(port)
	switch {
	case available == (mine || others):
		return verdict{outcome: inconsistent}
	case available:
		return verdict{outcome: granted}
	case mine && (unique || use == Shared):
		return verdict{outcome: kept}
	case unique || use == Unique && others:
		return verdict{outcome: refused, holders: portfile.Holders(e, port)}
	}
	return verdict{outcome: granted}
}

// choose finds the next port of the pool, from the cursor round, that is available and does not
// rest, nor is one of avoid, and moves the cursor past it (block 205). now is asked for the time only where a rest
// is to be compared with it. The cursor is no part of what a failed bind has to restore: where
// it moves back, a port that the stack's own kernel refuses would be chosen for ever.
func (e entry) choose(pool portfile.Pool, avoid []contract.PortRange, now clock) (uint16, bool) {
	cursor := uint16(atomic.LoadUint64((*uint64)(unsafe.Pointer(&e[portfile.CursorOffset]))))
	if !pool.Contains(cursor) {
		cursor = pool.First
	}
	port, found := e.next(cursor, pool.Last, avoid, now)
	if !found && cursor > pool.First {
		port, found = e.next(pool.First, cursor-1, avoid, now)
	}
	if found {
		e.store(portfile.Store{Offset: portfile.CursorOffset, Value: uint64(port) + 1})
	}
	return port, found
}

func (e entry) next(first, last uint16, avoid []contract.PortRange, now clock) (uint16, bool) {
	available := portfile.Available(e)
	for {
		port, found := available.Next(first, last)
		if !found {
			return 0, false
		}
		skip := slices.IndexFunc(avoid, func(r contract.PortRange) bool { return r.First <= port && port <= r.Last })
		passed := port
		if skip >= 0 {
			passed = avoid[skip].Last
		} else if rest := portfile.RestOf(e, port); rest == 0 || rest.Left(now()) == 0 {
			return port, true
		}
		if passed >= last {
			return 0, false
		}
		first = passed + 1
	}
}

// take makes a port the slot's (block 208).
func (e entry) take(port uint16, slot int, use Use) {
	e.apply(portfile.Take(e, port, slot, use == Unique))
}

// free takes a port from the slot (block 190).
func (e entry) free(port uint16, slot int, rest portfile.Rest) {
	e.apply(portfile.Free(e, port, slot, rest))
}

// mark makes a port the slot's, whoever else holds it (T21). Where another stack does, and one of
// the two as unique, it returns the slots of those.
func (e entry) mark(slot int, held Held) []int {
	v := e.ask(held.Port, slot, held.Use)
	if v.outcome != kept {
		e.take(held.Port, slot, held.Use)
	}
	return slices.DeleteFunc(v.holders, func(other int) bool { return other == slot })
}

// reclaim takes all ports from a slot whose stack is gone and returns how many there were. Unique
// ones rest until the time given: a peer of a connection that such a port opened may be in
// TIME_WAIT, and nobody is left who knows. Those to be kept stay.
func (e entry) reclaim(slot int, rest portfile.Rest, keep ...uint16) int {
	if !portfile.Prepared(e, slot) {
		return 0
	}
	n := 0
	unique := portfile.Unique(e)
	for port := range portfile.Usage(e, slot).Ports {
		if slices.Contains(keep, port) {
			continue
		}
		until := rest
		if !unique.Has(port) {
			until = 0
		}
		e.free(port, slot, until)
		n++
	}
	return n
}

// interrupted are the rests of ports that are taken by their number before they have rested, and those that
// the loss of a file would end. The peer of the connection before may be in TIME_WAIT still: the rest goes on.
// The zero value is ready.
type interrupted struct {
	mu    sync.Mutex // a book outlives the entries and their locks
	until map[uint16]portfile.Rest
}

// note is called before a port is taken.
func (r *interrupted) note(e entry, port uint16) {
	until := portfile.RestOf(e, port)
	if until == 0 || until.Left(bootTime()) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil {
		r.until = make(map[uint16]portfile.Rest)
	}
	r.until[port] = until
}

// end is called when a port is given back, which is to rest as long as said. It returns until when it does:
// without a rest of its own the one that was interrupted goes on, if that is not over.
func (r *interrupted) end(port uint16, rest portfile.Rest) portfile.Rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, found := r.until[port]; found && rest == 0 && before.Left(bootTime()) > 0 {
		return before
	}
	if rest == 0 {
		delete(r.until, port)
		return 0
	}
	if r.until == nil {
		r.until = make(map[uint16]portfile.Rest)
	}
	r.until[port] = rest
	return rest
}

// left are the rests that are not over. Ports may be taken meanwhile.
func (r *interrupted) left() map[uint16]portfile.Rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := bootTime()
	maps.DeleteFunc(r.until, func(_ uint16, until portfile.Rest) bool { return until.Left(now) == 0 })
	return maps.Clone(r.until)
}

// idle says that nothing is lost with the entry: no port is in use, none rests.
func (e entry) idle(now clock) bool {
	if portfile.Available(e).Count() != portfile.Ports-1 {
		return false
	}
	return len(portfile.InUse(e, now())) == 0
}
