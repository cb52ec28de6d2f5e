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
	connectionsAtOnce = maxElements / 8
	// fewConnections are read before they are written.
	fewConnections = 8
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
	// linger is how long an entry that ends goes on routing.
	linger time.Duration
	// certain: nothing that the tables hold can be newer than this.
	certain bool
}

// connect changes the entries of connections, in the order of the actions; changes are held
// back to be committed together as long as no two concern one connection differently.
func (p *Path) connect(actions []vipa.Action) error {
	pending := make(map[*figure]*pendingChanges, len(p.figures))
	for i := range p.figures {
		pending[&p.figures[i]] = new(pendingChanges)
	}
	commit := func() error {
		for i := range p.figures {
			g := &p.figures[i]
			changes := pending[g].order
			*pending[g] = pendingChanges{}
			if err := p.commitConnections(g, changes); err != nil {
				return err
			}
		}
		return nil
	}
	for _, a := range actions {
		var changes []connectionChange
		switch a := a.(type) {
		case vipa.AddConnections:
			// A target that waits for the commit is about to open the connection.
			changes = changesOf(a.Connections, connectionChange{target: a.Target, certain: a.Acknowledge != 0})
		case vipa.EndConnections:
			changes = changesOf(a.Connections, connectionChange{target: a.Target, end: true, linger: p.linger})
		case vipa.DropTarget:
			if err := commit(); err != nil {
				return err
			}
			if err := p.dropTarget(a.Target); err != nil {
				return err
			}
		case vipa.Withdraw:
			if err := commit(); err != nil {
				return err
			}
			if err := p.dropDVIPA(a.DVIPA); err != nil {
				return err
			}
		}
		for i, c := range changes {
			of := pending[p.of(c.connection.Local.Addr())]
			if i == 0 {
				of.expect(len(changes))
			}
			if !of.fits(c) {
				if err := commit(); err != nil {
					return err
				}
			}
			of.add(c)
		}
	}
	return commit()
}

// changesOf is the same change of each of the connections.
func changesOf(connections []contract.Connection, change connectionChange) []connectionChange {
	changes := make([]connectionChange, len(connections))
	for i, c := range connections {
		changes[i] = change
		changes[i].connection = c
	}
	return changes
}

// pendingChanges holds the last word on each connection, in the order of the first.
type pendingChanges struct {
	order []connectionChange
	index map[contract.Connection]int
}

// expect makes room for n more.
func (p *pendingChanges) expect(n int) {
	p.order = slices.Grow(p.order, n)
	if p.index == nil {
		p.index = make(map[contract.Connection]int, n)
	}
}

// fits: what is held says nothing of the connection, or speaks of the same target.
func (p *pendingChanges) fits(c connectionChange) bool {
	at, there := p.index[c.connection]
	return !there || p.order[at].target == c.target
}

func (p *pendingChanges) add(c connectionChange) {
	if at, there := p.index[c.connection]; there {
		p.order[at] = c
		return
	}
	if p.index == nil {
		p.index = make(map[contract.Connection]int)
	}
	p.index[c.connection] = len(p.order)
	p.order = append(p.order, c)
}

// commitConnections commits changes of connections of one family.
func (p *Path) commitConnections(g *figure, changes []connectionChange) error {
	for some := range slices.Chunk(changes, connectionsAtOnce) {
		if err := p.commitSome(g, some); err != nil {
			return fmt.Errorf("change %d entries of the connection routing table: %w", len(some), err)
		}
	}
	return nil
}

// commitSome commits changes of connections. Many are written without reading first, which is
// a third of the work; where an entry points elsewhere, or the table is full, the kernel
// refuses them all, which costs it an RCU grace period. Then, as for a few, the entries are
// read and conflicts resolved, as often as packets and timeouts change them meanwhile.
func (p *Path) commitSome(g *figure, changes []connectionChange) error {
	var err error
	for attempt := range changeAttempts {
		var tables []held
		if attempt > 0 || len(changes) <= fewConnections {
			if tables, err = p.readConnections(g, changes); err != nil {
				return err
			}
		}
		err = p.writeConnections(g, changes, tables)
		switch {
		case errors.Is(err, unix.ENFILE) && tables != nil:
			return fmt.Errorf("the table is full: %w", err)
		case !overtaken(err) && !errors.Is(err, unix.ENFILE):
			return err
		}
	}
	return err
}

// overtaken: an entry has another value than was supposed (EEXIST, on some kernels EBUSY), or
// is not there (ENOENT).
func overtaken(err error) bool {
	return errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOENT)
}

// Held is what the tables hold of a connection, nil where nothing.
type held struct{ crt, ended *element }

func (p *Path) readConnections(g *figure, changes []connectionChange) ([]held, error) {
	keys := make([][]byte, len(changes))
	for i, c := range changes {
		keys[i] = connectionKey(c.connection)
	}
	entries, err := p.write.lookup(g.crt, keys)
	if err != nil {
		return nil, err
	}
	ended, err := p.write.lookup(g.ended, keys)
	if err != nil {
		return nil, err
	}
	all := make([]held, len(changes))
	for i := range all {
		all[i] = held{crt: entries[i], ended: ended[i]}
	}
	return all, nil
}

// writeConnections commits the changes; tables is what is known of the connections, nil for
// nothing. The end of a connection that the tables may not hold makes an entry which is ended
// already, and goes with it.
func (p *Path) writeConnections(g *figure, changes []connectionChange, tables []held) error {
	w := connectionWriter{entries: make([]element, 0, len(changes)), ended: make([]element, 0, len(changes))}
	for i, c := range changes {
		key, value := connectionKey(c.connection), g.hop(c.target).AsSlice()
		if tables != nil {
			is := tables[i]
			if is.crt == nil && c.end {
				continue
			}
			if is.crt != nil && !bytes.Equal(is.crt.value, value) {
				if !c.overrides(is) {
					continue
				}
				w.remove = append(w.remove, element{key: key})
			}
		}
		entry := element{key: key, value: value}
		local := element{key: key}
		if c.end {
			entry.timeout, local.timeout = c.linger, c.linger+localExcess
			w.ended = append(w.ended, element{key: key, timeout: c.linger + localExcess})
		} else {
			w.notEnded = append(w.notEnded, element{key: key})
		}
		w.entries = append(w.entries, entry)
		switch {
		case c.target == p.self:
			w.local = append(w.local, local)
		case !c.end && p.state.local[g]:
			w.notLocal = append(w.notLocal, local)
		}
	}
	b := w.batch(p, g)
	first := len(w.local) > 0 && !p.state.local[g]
	if first {
		g.askLocal(b)
	}
	if err := p.write.commit(b); err != nil {
		return err
	}
	p.state.local[g] = p.state.local[g] || first
	return nil
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

func (w connectionWriter) batch(p *Path, g *figure) *batch {
	b := new(batch)
	b.deleteElements(g.crt, w.remove...)
	p.renew(b, g.crt, w.entries)
	p.renew(b, g.local, w.local)
	p.renew(b, g.ended, w.ended)
	discard(b, g.local, w.notLocal)
	discard(b, g.ended, w.notEnded)
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

// LetExpire ends every entry that points to target, as EndConnections would, but lets it route for
// as long as given: the stack may be there still and report its connections again. An entry that
// a packet makes meanwhile is left alone.
func (p *Path) LetExpire(target netip.Addr, linger time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.figures {
		if err := p.letExpire(&p.figures[i], target, linger); err != nil {
			return fmt.Errorf("let the connections of target %v expire: %w", target, err)
		}
	}
	return nil
}

func (p *Path) letExpire(g *figure, target netip.Addr, linger time.Duration) error {
	value := g.hop(target).AsSlice()
	var changes []connectionChange
	err := p.write.elements(g.crt, func(e element) error {
		if !bytes.Equal(e.value, value) {
			return nil
		}
		c, err := g.connection(e.key)
		changes = append(changes, connectionChange{connection: c, target: target, end: true, linger: linger})
		return err
	})
	if err != nil {
		return err
	}
	return p.commitConnections(g, changes)
}

// dropTarget deletes every entry that points to target.
func (p *Path) dropTarget(target netip.Addr) error {
	for i := range p.figures {
		g := &p.figures[i]
		value := g.hop(target).AsSlice()
		if err := p.drop(g, func(e element) bool { return bytes.Equal(e.value, value) }); err != nil {
			return fmt.Errorf("delete entries of target %v: %w", target, err)
		}
	}
	return nil
}

// dropDVIPA deletes every entry of a DVIPA.
func (p *Path) dropDVIPA(dvipa netip.Addr) error {
	g := p.of(dvipa)
	// The last but the port, which is padded to the length of a register.
	at := int(g.address.Bytes) + 4
	err := p.drop(g, func(e element) bool { return bytes.HasPrefix(e.key[at:], dvipa.AsSlice()) })
	if err != nil {
		return fmt.Errorf("delete entries of %v: %w", dvipa, err)
	}
	return nil
}

// drop deletes every entry of a family that matches. A listing may miss entries while packets
// add others, so it is begun anew until it finds none.
func (p *Path) drop(g *figure, matches func(element) bool) error {
	for range changeAttempts {
		found, err := p.dropFound(g, matches)
		if err != nil && !overtaken(err) {
			return err
		}
		if err == nil && found == 0 {
			return nil
		}
	}
	return errors.New("packets change them all the time")
}

// dropFound says how many entries it found and deleted.
func (p *Path) dropFound(g *figure, matches func(element) bool) (int, error) {
	var found []element
	err := p.write.elements(g.crt, func(e element) error {
		if matches(e) {
			found = append(found, element{key: e.key, value: e.value})
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	here := g.hop(p.self).AsSlice()
	for some := range slices.Chunk(found, maxElements/4) {
		var b batch
		discard(&b, g.crt, some)
		for _, e := range some {
			if bytes.Equal(e.value, here) {
				discard(&b, g.local, []element{{key: e.key}})
			}
		}
		if err := p.write.commit(&b); err != nil {
			return len(found), err
		}
	}
	return len(found), nil
}
