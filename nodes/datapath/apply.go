package datapath

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Wanted is what a list of actions asks of the data path: the last word on each address and
// service, and the changes of connections in turn.
type wanted struct {
	known, owned, settling map[netip.Addr]bool
	services               map[netip.AddrPort][]contract.Target
	unique                 map[netip.AddrPort]netip.Addr
	connections            []vipa.Action
}

// sort reads the actions; those for addresses that are not served become errors.
func (p *Path) sort(actions []vipa.Action) (wanted, error) {
	w := wanted{
		known: make(map[netip.Addr]bool), owned: make(map[netip.Addr]bool), settling: make(map[netip.Addr]bool),
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
			w.known[a.DVIPA] = false
		case vipa.Advertise:
			w.owned[a.Prefix.Addr()] = true
		case vipa.Withdraw:
			if p.state.owned[a.DVIPA] || w.owned[a.DVIPA] {
				w.connections = append(w.connections, a)
			}
			w.owned[a.DVIPA] = false
		case vipa.Settle:
			w.settling[a.DVIPA] = a.On
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
	var addresses []netip.Addr
	var targets []netip.Addr
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
		addresses, targets = ends(a.Connections), []netip.Addr{a.Target}
	case vipa.EndConnections:
		addresses, targets = ends(a.Connections), []netip.Addr{a.Target}
	case vipa.DropTarget:
		targets = []netip.Addr{a.Target}
	}
	for _, address := range addresses {
		if p.of(address) == nil {
			return fmt.Errorf("%w: %T for %v: an inter-stack network of IPv6 carries DVIPAs of IPv6 alone", ErrUnsupported, a, address)
		}
		if address.BitLen() != addresses[0].BitLen() {
			return fmt.Errorf("%w: %T for %v and %v, which are of two families", ErrUnsupported, a, addresses[0], address)
		}
	}
	for _, target := range targets {
		if target.BitLen() != p.self.BitLen() {
			return fmt.Errorf("%w: %T: target %v is of another family than the inter-stack network", ErrUnsupported, a, target)
		}
	}
	return nil
}

func ends(connections []contract.Connection) []netip.Addr {
	all := make([]netip.Addr, 0, 2*len(connections))
	for _, c := range connections {
		all = append(all, c.Remote.Addr(), c.Local.Addr())
	}
	return all
}
