package bench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"
)

const (
	// routedDeaths is how often the owner is killed where a routing protocol advertises.
	routedDeaths = 3
	// routedPause is the time between a takeback and the next death: OSPF says nothing again of a network for so long
	// (MinLSInterval, RFC 2328), and a backup that has just withdrawn the DVIPA would be measured by that.
	routedPause = 6 * time.Second
)

// routedGap measures deaths of the owner where OSPF advertises the DVIPA. It is by the timers of the
// protocol and its daemons, most of all. A gap is not over before the table of ROUTER leads to the other owner.
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
		took, err := gap(t.pulse, t.service, t.led(ctx, backupLink, t.away(ctx, t.kill(ctx))))
		if err != nil {
			return err
		}
		if _, err := gap(t.pulse, t.service, t.led(ctx, ownerLink, t.back(ctx, t.restart(ctx)))); err != nil {
			return err
		}
		gaps = append(gaps, took)
		if err := pause(ctx, routedPause); err != nil {
			return err
		}
	}
	results.addGaps("takeover.ospf_gap_ms", gaps)
	return nil
}

// Addresses of MVS1 and MVS4 on network 44.
var (
	ownerLink  = netip.MustParseAddr("192.168.44.1")
	backupLink = netip.MustParseAddr("192.168.44.4")
)

// led is an event and what follows from it: the route of ROUTER to the DVIPA goes by a stack.
func (t *takeoverPlex) led(ctx context.Context, by netip.Addr, event func() error) func() error {
	return func() error {
		if err := event(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, ownedLimit)
		defer cancel()
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			route, err := t.output(ctx, router, "ip", "route", "get", t.service.Addr().String())
			if err == nil && bytes.Contains(route, []byte("via "+by.String()+" ")) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait until %s leads to %s by %s: it says %q, %w", router, t.service.Addr(), by, route, cmp.Or(err, ctx.Err()))
			case <-ticker.C:
			}
		}
	}
}

var routedService = netip.MustParseAddrPort("198.51.100.100:7000")

// routedTopology is topologies/takeover.yaml with a DVIPA that lies in no subnet.
func routedTopology() []byte {
	text := bytes.ReplaceAll(takeoverTopology, []byte(takeoverService.Addr().String()), []byte(routedService.Addr().String()))
	return append(text, "advertising: {method: ospf}\n"...)
}
