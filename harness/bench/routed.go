package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
)

// routedDeaths is how often the owner is killed where a routing protocol advertises.
const routedDeaths = 3

// routedGap measures deaths of the owner where OSPF advertises the DVIPA. It is by the timers of the
// protocol and its daemons, most of all.
func routedGap(ctx context.Context, config Config, results *Results) error {
	config.Progress("takeover: a plex with OSPF")
	t, err := newTakeover(ctx, config, "bench-takeover-ospf", routedTopology(), routedService)
	if err != nil {
		return err
	}
	defer t.close()
	var gaps []float64
	for round := range routedDeaths {
		config.Progress(fmt.Sprintf("takeover: owner killed, OSPF, %d of %d", round+1, routedDeaths))
		took, err := gap(t.pulse, t.service, t.away(ctx, t.kill(ctx)))
		if err != nil {
			return err
		}
		if _, err := gap(t.pulse, t.service, t.back(ctx, t.restart(ctx))); err != nil {
			return err
		}
		gaps = append(gaps, took)
	}
	results.addGaps("takeover.ospf_gap_ms", gaps)
	return nil
}

var routedService = netip.MustParseAddrPort("198.51.100.100:7000")

// routedTopology is topologies/takeover.yaml with a DVIPA that lies in no subnet.
func routedTopology() []byte {
	text := bytes.ReplaceAll(takeoverTopology, []byte(takeoverService.Addr().String()), []byte(routedService.Addr().String()))
	return append(text, "advertising: {method: ospf}\n"...)
}
