package main

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/xcf"
)

// openFacility takes part in the coupling facility by the technique of the plex. left are the addresses that sockets or
// remnants have already.
func (s *stack) openFacility(o portOptions, lapse time.Duration, left []netip.Addr) (err error) {
	inUse := func(dvipa netip.Addr) []uint16 {
		if !slices.Contains(left, dvipa) {
			return nil
		}
		used, err := sight{s.monitor, s.path}.portsInUse(dvipa)
		if err != nil {
			s.log.Error("ports in use not found", "dvipa", dvipa, "error", err)
		}
		return slices.Sorted(maps.Keys(used))
	}
	pool := contract.PortRange{First: o.first, Last: o.last}
	if o.sharing == control.SharingDistributor {
		s.distributor, err = cf.NewDistributor(cf.DistributorConfig{
			Self: s.self, Pool: pool, Rest: o.rest, InUse: inUse, Send: s.send, Logger: s.log,
		})
		if err == nil {
			s.facility, s.inherited, s.beat, s.owners = s.distributor, s.distributor.Inherited, func(int, bool) {}, cf.NewHeard(lapse)
		}
		return err
	}
	file, err := cf.Open(cf.Config{
		Path: s.options.portFile, Plex: s.options.plex, Self: s.self, Pool: pool, Rest: o.rest, InUse: inUse,
		Pulse: s.pulse, Logger: s.log,
	})
	if err == nil {
		s.facility, s.inherited, s.replaced, s.beat, s.peers = file, file.Inherited, file.Replaced(), file.Beat, file.Peers
		claims := cf.OpenClaims(s.options.portFile, s.self, lapse, file.Peers)
		s.owners = claims
		s.opened = append(s.opened, claims.Close)
	}
	return err
}

// sharePorts hands what happens on XCF to the tables of ports at once, apart from the loop: claims do not
// wait for changes of the data path. It says whether the event was for them alone.
func (s *stack) sharePorts(event xcf.Event) bool {
	switch e := event.(type) {
	case xcf.Joined:
		s.distributor.Joined(e.Member)
	case xcf.Lost:
		s.distributor.Lost(e.Member)
	case xcf.Received:
		return s.distributor.Receive(e.From, e.Message)
	}
	return false
}

// follow is part of edges.
func (s *stack) follow(a vipa.FollowOwner) { s.distributor.Follow(a.DVIPA, a.Owner, a.Epoch) }
