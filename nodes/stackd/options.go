package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/routing"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// options is what a stack is started with; the manifest's template fills it in.
type options struct {
	plex         string
	stack        string
	xcfAddress   string
	xcfInterface string
	outside      []string
	profile      string
	portFile     string
	controlPath  string
	keyFile      string
	helloMS      int
	deadMS       int
	pool         string
	restMS       int
	sharing      string
	variant      string

	advertising  string
	routingHello int // seconds
	routingDead  int
	bfdMS        int

	selection   string
	policyAgent string
	selectionMS int
}

// checked holds the options that have a form of their own.
type checked struct {
	xcf       netip.Addr
	variant   vipa.Variant
	hello     time.Duration
	dead      time.Duration
	ports     portOptions
	selection selectionOptions
	// routing is the routing protocol that DVIPAs are advertised by, "" where owners answer for them on
	// their adapters, and on inside stacks.
	routing routing.Protocol
}

// portOptions say how ports of DVIPAs with CLUSTERPORTS are given out.
type portOptions struct {
	first, last uint16        // what port 0 is served from, 1 <= first <= last
	rest        time.Duration // of a freed port that carried outbound connections; 0: none
	sharing     string        // control.SharingPortFile or control.SharingDistributor
}

// variants are the conformance profiles of Figure 5 by name.
var variants = map[string]vipa.Variant{
	"specified-address-bypass": vipa.SpecifiedAddressBypass,
	"enumerated-only":          vipa.EnumeratedOnly,
}

func (o options) check() (checked, error) {
	var c checked
	var err error
	if c.xcf, err = netip.ParseAddr(o.xcfAddress); err != nil {
		return c, fmt.Errorf("--xcf-address: %w", err)
	}
	variant, ok := variants[o.variant]
	if !ok {
		return c, fmt.Errorf("--variant %q: expected specified-address-bypass or enumerated-only", o.variant)
	}
	if o.helloMS < 0 || o.deadMS < 0 {
		return c, fmt.Errorf("--hello-ms %d --dead-ms %d: expected milliseconds, or 0 for the default", o.helloMS, o.deadMS)
	}
	if c.ports, err = o.checkPorts(); err != nil {
		return c, err
	}
	if c.selection, err = o.checkSelection(); err != nil {
		return c, err
	}
	if o.routingHello < 0 || o.routingDead < 0 || o.bfdMS < 0 {
		return c, fmt.Errorf("--routing-hello-s %d --routing-dead-s %d --bfd-ms %d: expected seconds and milliseconds, or 0 for the default",
			o.routingHello, o.routingDead, o.bfdMS)
	}
	switch o.advertising {
	case "", "address":
	case string(routing.OSPF), string(routing.RIP):
		if len(o.outside) > 0 {
			c.routing = routing.Protocol(o.advertising)
		}
	default:
		return c, fmt.Errorf("--advertising %q: expected address, ospf or rip", o.advertising)
	}
	c.variant = variant
	c.hello = time.Duration(o.helloMS) * time.Millisecond
	c.dead = time.Duration(o.deadMS) * time.Millisecond
	return c, nil
}

func (o options) checkPorts() (portOptions, error) {
	first, last, _ := strings.Cut(o.pool, "-")
	low, errLow := strconv.ParseUint(first, 10, 16)
	high, errHigh := strconv.ParseUint(last, 10, 16)
	if errLow != nil || errHigh != nil || low < 1 || high < low {
		return portOptions{}, fmt.Errorf("--pool %q: expected a range of ports such as 1024-65535", o.pool)
	}
	if o.restMS < 0 {
		return portOptions{}, fmt.Errorf("--port-rest-ms %d: expected milliseconds, or 0 for ports that do not rest", o.restMS)
	}
	if o.sharing != control.SharingPortFile && o.sharing != control.SharingDistributor {
		return portOptions{}, fmt.Errorf("--sharing %q: expected %s or %s", o.sharing, control.SharingPortFile, control.SharingDistributor)
	}
	return portOptions{uint16(low), uint16(high), time.Duration(o.restMS) * time.Millisecond, o.sharing}, nil
}
