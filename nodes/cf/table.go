package cf

import (
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// ownSlot is the slot of the stack that keeps a table.
const ownSlot = 0

// A table is the ports of one DVIPA as its owner keeps them, on the heap. Its methods presume
// that the caller has the lock of the Distributor.
type table struct {
	dvipa netip.Addr
	epoch uint64
	pool  portfile.Pool
	// avoid are the enumerated ports, which port 0 is not answered with.
	avoid []contract.PortRange
	// entry is as long as the greatest slot with a port needs.
	entry   entry
	tenants map[int]*tenant // the other stacks that have ports, by slot
	// told are the stacks, by XCF address, that have told what they hold since they joined.
	told map[netip.Addr]bool

	interrupted interrupted
}

// A tenant is what an owner notes besides the entry of what another stack holds.
type tenant struct {
	// since says of each port in answer to which list of the owner it was told, or after
	// which it was granted. What a later list is not answered with is not held any more.
	since map[uint16]uint64
	// claims are the claims of port 0 by their ID, so that one that comes again gets the same port,
	// and ids the same by port.
	claims map[uint64]uint16
	ids    map[uint16]uint64
}

// newTable begins with every port available. Which ones rested at an earlier owner may not be known of
// all: the selection for port 0 begins at another place of the pool with each incarnation of owners.
func newTable(dvipa netip.Addr, epoch uint64, pool portfile.Pool, incarnation uint64) *table {
	t := &table{
		dvipa: dvipa, epoch: epoch, pool: pool, entry: make(entry, portfile.UsageOffset),
		tenants: make(map[int]*tenant), told: make(map[netip.Addr]bool),
	}
	portfile.InitEntry(t.entry, portfile.Record{DVIPA: dvipa, Pool: pool})
	t.entry.store(portfile.Store{Offset: portfile.CursorOffset, Value: uint64(pool.First) + incarnation%uint64(pool.Size())})
	return t
}

// prepare makes room for the ports of a slot.
func (t *table) prepare(slot int) {
	if portfile.Prepared(t.entry, slot) {
		return
	}
	if need := portfile.UsageOffset + (slot+1)*portfile.BitmapSize; need > len(t.entry) {
		t.entry = append(t.entry, make(entry, need-len(t.entry))...)
	}
	t.entry.store(portfile.Prepare(t.entry, slot))
}

// claim gives a port to the stack of a slot at once (blocks 204, 205 and 208); holders are those
// that hold a port which is refused, none where no port is left.
func (t *table) claim(slot int, port uint16, use Use) (granted uint16, holders []int) {
	t.prepare(slot)
	if port == 0 {
		port, found := t.entry.choose(t.pool, t.avoid, bootTime)
		if found {
			t.entry.take(port, slot, use)
		}
		return port, nil
	}
	v := t.entry.ask(port, slot, use)
	switch v.outcome {
	case refused:
		return 0, slices.DeleteFunc(v.holders, func(holder int) bool { return holder == slot })
	case kept:
	default:
		t.interrupted.note(t.entry, port)
		t.entry.take(port, slot, use)
	}
	return port, nil
}

// serve answers the claim of another stack, after so many lists of the owner.
func (t *table) serve(slot int, id uint64, port uint16, use Use, lists uint64) (granted uint16, holders []int) {
	tenant := t.tenant(slot)
	if again, known := tenant.claims[id]; known && port == 0 {
		return again, nil
	}
	granted, holders = t.claim(slot, port, use)
	if granted != 0 {
		tenant.since[granted] = lists
	}
	if granted != 0 && port == 0 {
		tenant.claims[id], tenant.ids[granted] = granted, id
	}
	return granted, holders
}

func (t *table) tenant(slot int) *tenant {
	if t.tenants[slot] == nil {
		t.tenants[slot] = &tenant{since: make(map[uint16]uint64), claims: make(map[uint64]uint16), ids: make(map[uint16]uint64)}
	}
	return t.tenants[slot]
}

// mark notes that the stack of a slot holds ports, whoever else does, told in answer to that list of
// the owner. It returns the slots that hold one otherwise, by port.
func (t *table) mark(slot int, ports []Held, list uint64) map[uint16][]int {
	t.prepare(slot)
	conflicts := make(map[uint16][]int)
	for _, held := range ports {
		t.interrupted.note(t.entry, held.Port)
		if others := t.entry.mark(slot, held); len(others) > 0 {
			conflicts[held.Port] = others
		}
		if slot != ownSlot {
			since := t.tenant(slot).since
			since[held.Port] = max(since[held.Port], list)
		}
	}
	return conflicts
}

// free takes a port from the stack of a slot. What others hold stays theirs; a port that nobody held
// may have been this stack's at an owner before, and rests.
func (t *table) free(slot int, port uint16, rest portfile.Rest) {
	if !portfile.HeldBy(t.entry, port, slot) && (rest == 0 || !portfile.Available(t.entry).Has(port)) {
		return
	}
	t.prepare(slot)
	t.entry.free(port, slot, t.interrupted.end(port, rest))
	if tenant := t.tenants[slot]; tenant != nil {
		delete(tenant.since, port)
		if id, known := tenant.ids[port]; known {
			delete(tenant.ids, port)
			delete(tenant.claims, id)
		}
	}
}

// settle ends the answer of a stack to a list of the owner: ports that it had before and has not
// told again are free. Unique ones rest, and are returned: nobody is left who knows of their connections.
func (t *table) settle(slot int, list uint64, rest portfile.Rest) (resting []uint16) {
	tenant := t.tenants[slot]
	if tenant == nil {
		return nil
	}
	unique := portfile.Unique(t.entry)
	for port, since := range tenant.since {
		switch {
		case since >= list:
		case unique.Has(port):
			t.free(slot, port, rest)
			resting = append(resting, port)
		default:
			t.free(slot, port, 0)
		}
	}
	return resting
}

// uniqueOf are the unique ports of a slot, in order.
func (t *table) uniqueOf(slot int) (ports []uint16) {
	if !portfile.Prepared(t.entry, slot) {
		return nil
	}
	unique := portfile.Unique(t.entry)
	for port := range portfile.Usage(t.entry, slot).Ports {
		if unique.Has(port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// resting are the ports that rest, in order.
func (t *table) resting() (ports []uint16) {
	for _, use := range portfile.InUse(t.entry, bootTime()) {
		if len(use.Slots) == 0 {
			ports = append(ports, use.Port)
		}
	}
	return ports
}

// reclaim takes all ports from a stack that is gone.
func (t *table) reclaim(slot int, rest portfile.Rest) int {
	delete(t.tenants, slot)
	return t.entry.reclaim(slot, rest)
}
