package datapath

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Entry is one row of the connection routing table.
type Entry struct {
	// Source is zero (0.0.0.0:0, [::]:0) for a unique port.
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
		source := netip.AddrPortFrom(p.of(service.Addr()).zero(), 0)
		add(Entry{Source: source, DVIPA: service, Target: target, Unique: true})
	}
	p.mu.Unlock()
	slices.SortFunc(entries, func(a, b Entry) int { return a.DVIPA.Compare(b.DVIPA) })

	for _, g := range p.figures {
		err = p.read.elements(g.crt, func(e element) error {
			c, err := g.connection(e.key)
			if err != nil {
				return err
			}
			add(Entry{Source: c.Remote, DVIPA: c.Local, Target: g.target(e.value), Expires: e.expires})
			return nil
		})
		if err != nil {
			return nil, 0, fmt.Errorf("read connection routing table: %w", err)
		}
	}
	return entries, total, nil
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
