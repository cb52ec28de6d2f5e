package datapath

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Wanted is what a list of actions asks of the data path: the last word on each address and
// service, and the changes of connections in turn. A DVIPA that this stack has owned stays known when it has it no
// more: the kernel would forward as a router what a neighbour sends that has not heard of the next owner.
type wanted struct {
	known, owned map[netip.Addr]bool
	// settling begin to, and settled do no more once the connections are changed. One may be both.
	settling, settled map[netip.Addr]bool
	services          map[netip.AddrPort][]contract.Target
	unique            map[netip.AddrPort]netip.Addr
	connections       []vipa.Action
}

// sort reads the actions; those for addresses that are not served become errors.
func (p *Path) sort(actions []vipa.Action) (wanted, error) {
	w := wanted{
		known: make(map[netip.Addr]bool), owned: make(map[netip.Addr]bool),
		settling: make(map[netip.Addr]bool), settled: make(map[netip.Addr]bool),
		services: make(map[netip.AddrPort][]contract.Target),
		unique:   make(map[netip.AddrPort]netip.Addr),
	}
	var refused []error
	for _, a := range actions {
		if err := p.serves(a); err != nil {
			refused = append(refused, err)
			continue
		}
		switch a := a.(type) {
		case vipa.Activate:
			w.known[a.DVIPA] = true
		case vipa.Deactivate:
			w.known[a.DVIPA] = p.state.answered[a.DVIPA]
		case vipa.Advertise:
			w.owned[a.Prefix.Addr()] = true
		case vipa.Withdraw:
			if p.state.owned[a.DVIPA] || w.owned[a.DVIPA] {
				w.connections = append(w.connections, a)
			}
			w.owned[a.DVIPA] = false
		case vipa.Settle:
			if a.On {
				w.settling[a.DVIPA] = true
				delete(w.settled, a.DVIPA)
			} else {
				w.settled[a.DVIPA] = false
			}
		case vipa.SetTargets:
			w.services[a.Service] = a.Targets
		case vipa.SetUnique:
			w.unique[a.Service] = a.Target
		case vipa.AddConnections, vipa.EndConnections:
			w.connections = append(w.connections, a)
		case vipa.DropTarget:
			p.dropUnique(w, a.Target)
			w.connections = append(w.connections, a)
		}
	}
	return w, errors.Join(refused...)
}

// dropUnique takes the unique ports of a target that is gone.
func (p *Path) dropUnique(w wanted, target netip.Addr) {
	for service, holder := range p.state.unique {
		if _, changed := w.unique[service]; !changed && holder == target {
			w.unique[service] = netip.Addr{}
		}
	}
	for service, holder := range w.unique {
		if holder == target {
			w.unique[service] = netip.Addr{}
		}
	}
}

// serves says whether the inter-stack network can carry what an action asks for, and whether its
// addresses are of one family.
func (p *Path) serves(a vipa.Action) error {
	var addresses, targets []netip.Addr
	var connections []contract.Connection
	switch a := a.(type) {
	case vipa.Activate:
		addresses = []netip.Addr{a.DVIPA}
	case vipa.Deactivate:
		addresses = []netip.Addr{a.DVIPA}
	case vipa.Advertise:
		addresses = []netip.Addr{a.Prefix.Addr()}
	case vipa.Settle:
		addresses = []netip.Addr{a.DVIPA}
	case vipa.Withdraw:
		addresses = []netip.Addr{a.DVIPA}
	case vipa.SetTargets:
		addresses = []netip.Addr{a.Service.Addr()}
		for _, t := range a.Targets {
			targets = append(targets, t.XCF)
		}
	case vipa.SetUnique:
		addresses = []netip.Addr{a.Service.Addr()}
		if a.Target.IsValid() {
			targets = []netip.Addr{a.Target}
		}
	case vipa.AddConnections:
		connections, targets = a.Connections, []netip.Addr{a.Target}
	case vipa.EndConnections:
		connections, targets = a.Connections, []netip.Addr{a.Target}
	case vipa.DropTarget:
		targets = []netip.Addr{a.Target}
	}
	for _, address := range addresses {
		if err := p.carries(a, address); err != nil {
			return err
		}
	}
	for _, c := range connections {
		remote, dvipa, first := c.Remote.Addr(), c.Local.Addr(), connections[0].Local.Addr()
		if err := p.carries(a, dvipa); err != nil {
			return err
		}
		for _, address := range [...]netip.Addr{remote, dvipa} {
			if address.BitLen() != first.BitLen() {
				return fmt.Errorf("%w: %T for %v and %v, which are of two families", ErrUnsupported, a, first, address)
			}
		}
	}
	for _, target := range targets {
		if target.BitLen() != p.self.BitLen() {
			return fmt.Errorf("%w: %T: target %v is of another family than the inter-stack network", ErrUnsupported, a, target)
		}
	}
	return nil
}

// carries says whether the inter-stack network can carry packets to an address of an action.
func (p *Path) carries(a vipa.Action, address netip.Addr) error {
	if p.of(address) == nil {
		return fmt.Errorf("%w: %T for %v: an inter-stack network of IPv6 carries DVIPAs of IPv6 alone", ErrUnsupported, a, address)
	}
	return nil
}
