package datapath

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

const (
	// connectionsAtOnce times the elements that change for one connection stays within
	// maxElements.
	connectionsAtOnce = maxElements / 5
	// changeAttempts bounds how often a change is begun anew since packets changed the same
	// entries between reading and writing.
	changeAttempts = 16
)

// A connectionChange is what is to become of one connection's entry.
type connectionChange struct {
	connection contract.Connection
	target     netip.Addr
	// end: the entry ends as far as it points to target; else it is made to point there.
	end bool
	// certain: nothing that the tables hold can be newer than this.
	certain bool
}

// connect changes the entries of connections, in the order of the actions.
func (p *Path) connect(actions []vipa.Action) error {
	var pending pendingChanges
	for _, a := range actions {
		switch a := a.(type) {
		case vipa.AddConnections:
			for _, c := range a.Connections {
				// A target that waits for the commit is about to open the connection.
				pending.add(connectionChange{connection: c, target: a.Target, certain: a.Acknowledge != 0})
			}
		case vipa.EndConnections:
			for _, c := range a.Connections {
				pending.add(connectionChange{connection: c, target: a.Target, end: true})
			}
		case vipa.DropTarget:
			if err := p.commitConnections(pending.take()); err != nil {
				return err
			}
			if err := p.dropTarget(a.Target); err != nil {
				return err
			}
		}
	}
	return p.commitConnections(pending.take())
}

// pendingChanges holds the last word on each connection.
type pendingChanges struct {
	order []connectionChange
	index map[contract.Connection]int
}

func (p *pendingChanges) add(c connectionChange) {
	at, there := p.index[c.connection]
	switch {
	case !there:
		if p.index == nil {
			p.index = make(map[contract.Connection]int)
		}
		p.index[c.connection] = len(p.order)
		p.order = append(p.order, c)
	case c.end && p.order[at].target != c.target:
		// The end of what another target held does not concern the newer holder.
	default:
		p.order[at] = c
	}
}

func (p *pendingChanges) take() []connectionChange {
	order := p.order
	*p = pendingChanges{}
	return order
}

func (p *Path) commitConnections(changes []connectionChange) error {
	for some := range slices.Chunk(changes, connectionsAtOnce) {
		if err := p.commitSome(some); err != nil {
			return fmt.Errorf("change %d entries of the connection routing table: %w", len(some), err)
		}
	}
	return nil
}

// commitSome writes the changes without reading first. Where an entry points elsewhere the
// kernel refuses them all; then the entries are read and what conflicts is resolved, as often
// as packets and timeouts change the entries meanwhile.
func (p *Path) commitSome(changes []connectionChange) error {
	err := p.writeConnections(changes, make([]held, len(changes)))
	for range changeAttempts {
		if !overtaken(err) {
			break
		}
		var tables []held
		if tables, err = p.readConnections(changes); err == nil {
			err = p.writeConnections(changes, tables)
		}
	}
	return err
}

// overtaken: an entry has another value than was supposed (EEXIST, on some kernels EBUSY), or
// is not there (ENOENT).
func overtaken(err error) bool {
	return errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOENT)
}

// Held is what the tables hold of a connection, nil where nothing or not known.
type held struct{ crt, ended *element }

func (p *Path) readConnections(changes []connectionChange) ([]held, error) {
	keys := make([][]byte, len(changes))
	for i, c := range changes {
		keys[i] = connectionKey(c.connection)
	}
	entries, err := p.write.lookup(p.crt, keys)
	if err != nil {
		return nil, err
	}
	ended, err := p.write.lookup(p.ended, keys)
	if err != nil {
		return nil, err
	}
	all := make([]held, len(changes))
	for i := range all {
		all[i] = held{crt: entries[i], ended: ended[i]}
	}
	return all, nil
}

func (p *Path) writeConnections(changes []connectionChange, tables []held) error {
	var w connectionWriter
	for i, c := range changes {
		key, value, is := connectionKey(c.connection), c.target.AsSlice(), tables[i]
		if is.crt != nil && !bytes.Equal(is.crt.value, value) {
			if !c.overrides(is) {
				continue
			}
			w.remove = append(w.remove, element{key: key})
		}
		entry := element{key: key, value: value}
		local := element{key: key}
		if c.end {
			entry.timeout, local.timeout = p.linger, p.linger+localExcess
			w.ended = append(w.ended, element{key: key, timeout: p.linger})
		} else {
			w.notEnded = append(w.notEnded, element{key: key})
		}
		w.entries = append(w.entries, entry)
		switch {
		case c.target == p.self:
			w.local = append(w.local, local)
		case !c.end && p.state.local:
			w.notLocal = append(w.notLocal, local)
		}
	}
	if len(w.local) > 0 {
		p.state.local = true
	}
	return p.write.commit(w.batch(p))
}

// overrides says whether a change replaces an entry that points to another target. The end
// of what another target held does not concern the holder. An entry that selection made, and
// that has not ended, is younger than the connection which a target reports here.
func (c connectionChange) overrides(is held) bool {
	if c.end {
		return false
	}
	return is.crt.timeout == 0 || is.ended != nil || c.certain
}

// A connectionWriter collects the elements that change for connections, table by table.
type connectionWriter struct {
	remove, entries []element // of crt
	local, notLocal []element
	ended, notEnded []element
}

func (w connectionWriter) batch(p *Path) *batch {
	b := new(batch)
	b.deleteElements(p.crt, w.remove...)
	p.renew(b, p.crt, w.entries)
	p.renew(b, p.local, w.local)
	p.renew(b, p.ended, w.ended)
	discard(b, p.local, w.notLocal)
	discard(b, p.ended, w.notEnded)
	return b
}

// renew puts elements with their timeouts, also where they are there with others.
func (p *Path) renew(b *batch, s set, elements []element) {
	if !p.renews {
		discard(b, s, elements)
	}
	b.putElements(s, elements...)
}

// discard deletes elements whether they are there or not: putting an element makes sure that
// there is one to delete, and fails where it has another value.
func discard(b *batch, s set, elements []element) {
	b.putElements(s, elements...)
	b.deleteElements(s, elements...)
}

// dropTarget deletes every entry that points to target.
func (p *Path) dropTarget(target netip.Addr) error {
	var err error
	for range changeAttempts {
		err = p.dropEntries(target)
		if !overtaken(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("delete entries of target %v: %w", target, err)
	}
	return nil
}

func (p *Path) dropEntries(target netip.Addr) error {
	var pointing []element
	value := target.AsSlice()
	err := p.write.elements(p.crt, func(e element) error {
		if bytes.Equal(e.value, value) {
			pointing = append(pointing, element{key: e.key, value: value})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(pointing, maxElements/4) {
		var b batch
		discard(&b, p.crt, some)
		if target == p.self {
			for i := range some {
				some[i].value = nil
			}
			discard(&b, p.local, some)
		}
		if err := p.write.commit(&b); err != nil {
			return err
		}
	}
	return nil
}

// Entry is one row of the connection routing table.
type Entry struct {
	// Source is zero (0.0.0.0:0) for a unique port.
	Source netip.AddrPort
	DVIPA  netip.AddrPort
	// Target is the XCF address of the stack that has the connection.
	Target netip.Addr
	Unique bool
	// Expires is what is left of the entry's life, 0 where it stays until it is ended.
	Expires time.Duration
}

// CRT lists the connection routing table, unique ports first: at most limit entries, and how
// many there are in all.
func (p *Path) CRT(limit int) (entries []Entry, total int, err error) {
	add := func(e Entry) {
		if total++; total <= limit {
			entries = append(entries, e)
		}
	}
	p.mu.Lock()
	for service, target := range p.state.unique {
		source := netip.AddrPortFrom(zero(service.Addr()), 0)
		add(Entry{Source: source, DVIPA: service, Target: target, Unique: true})
	}
	p.mu.Unlock()
	slices.SortFunc(entries, func(a, b Entry) int { return a.DVIPA.Compare(b.DVIPA) })

	err = p.read.elements(p.crt, func(e element) error {
		c, err := p.connection(e.key)
		if err != nil {
			return err
		}
		target, _ := netip.AddrFromSlice(e.value)
		add(Entry{Source: c.Remote, DVIPA: c.Local, Target: target, Expires: e.expires})
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read connection routing table: %w", err)
	}
	return entries, total, nil
}

func zero(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// DPTEntry is one service with its current actual targets.
type DPTEntry struct {
	Service netip.AddrPort
	Targets []contract.Target
}

// DPT lists the destination port table, by service.
func (p *Path) DPT() []DPTEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	entries := make([]DPTEntry, 0, len(p.state.services))
	for service, s := range p.state.services {
		entries = append(entries, DPTEntry{Service: service, Targets: slices.Clone(s.targets)})
	}
	slices.SortFunc(entries, func(a, b DPTEntry) int { return a.Service.Compare(b.Service) })
	return entries
}
