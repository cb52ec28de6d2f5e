package main

import (
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/xcf"
)

// openFacility takes part in the coupling facility by the technique of the plex.
func (s *stack) openFacility(o portOptions, lapse time.Duration) (err error) {
	pool := contract.PortRange{First: o.first, Last: o.last}
	if o.sharing == control.SharingDistributor {
		s.distributor, err = cf.NewDistributor(cf.DistributorConfig{
			Self: s.self, Pool: pool, Rest: o.rest, Send: s.send, Logger: s.log,
		})
		if err == nil {
			s.facility, s.beat, s.owners = s.distributor, func(int, bool) {}, cf.NewHeard(lapse)
		}
		return err
	}
	file, err := cf.Open(cf.Config{
		Path: s.options.portFile, Plex: s.options.plex, Self: s.self, Pool: pool, Rest: o.rest, Pulse: s.pulse, Logger: s.log,
	})
	if err == nil {
		s.facility, s.replaced, s.beat, s.peers = file, file.Replaced(), file.Beat, file.Peers
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
