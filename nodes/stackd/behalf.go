package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// A behalf is what the clerk has marked on behalf of other stacks (T21), by DVIPA and by the XCF address
// of the stack. Where the coupling facility is replaced because it was damaged, each stack registers
// what it holds, and it may not know of these.
type behalf map[netip.Addr]map[netip.Addr]*marked

// marked are ports of one DVIPA that were marked on behalf of one stack.
type marked struct {
	ports []vipa.PortUse
	lost  bool // with a coupling facility that was damaged
}

func (b behalf) note(dvipa, stack netip.Addr, ports []vipa.PortUse) {
	if b[dvipa] == nil {
		b[dvipa] = map[netip.Addr]*marked{}
	}
	b[dvipa][stack] = &marked{ports: ports}
}

// lost: the coupling facility has none of it any more.
func (b behalf) lost() {
	for _, stacks := range b {
		for _, m := range stacks {
			m.lost = true
		}
	}
}

// markAgain marks what was lost, as far as the CRT has connections there still: the other ports have
// been given back since, or will not be held for anything. It returns an error for what is left to be
// tried again, a stack that has not come back to the coupling facility yet among it.
func (c *clerk) markAgain(ctx context.Context) error {
	var failed []error
	for dvipa, stacks := range c.behalf {
		var routed map[netip.Addr][]uint16
		for stack, m := range stacks {
			if !m.lost {
				continue
			}
			if routed == nil {
				var err error
				if routed, err = c.kernel.routed(dvipa); err != nil {
					return err
				}
			}
			m.ports = slices.DeleteFunc(m.ports, func(u vipa.PortUse) bool {
				return !slices.Contains(routed[stack], u.Port) || !c.clusterPorts(dvipa)
			})
			if _, err := c.markFor(ctx, dvipa, stack, m.ports); err != nil {
				failed = append(failed, err)
				continue
			}
			m.lost = false
			if len(m.ports) == 0 {
				delete(stacks, stack)
			}
		}
	}
	return errors.Join(failed...)
}
