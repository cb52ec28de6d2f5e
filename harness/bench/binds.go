package bench

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"time"
)

//go:embed topologies/ports.yaml
var portsTopology []byte

// bindDVIPA is the DVIPA of topologies/ports.yaml, of which MVS2 is a target.
var bindDVIPA = netip.MustParseAddr("192.168.44.100")

// A bindWay is an address to bind to, and how the program that does was started.
type bindWay struct {
	key     string
	address netip.AddrPort
	plain   bool // without the launcher
}

var bindWays = []bindWay{
	{key: "ports.bind_us", address: netip.AddrPortFrom(bindDVIPA, 0)},
	{key: "ports.bind_us.number", address: netip.AddrPortFrom(bindDVIPA, 9000)},
	{key: "ports.bind_us.real", address: netip.AddrPortFrom(listenTarget, 0)},
	{key: "ports.bind_us.plain", address: netip.AddrPortFrom(listenTarget, 0), plain: true},
}

// bindsEach is how many sockets are bound in each way in each turn.
const bindsEach = 50

// portBinds measures how long bind() takes: of a DVIPA with CLUSTERPORTS, port 0 and by number, of
// a real address through the broker as well, and of that without.
func portBinds(ctx context.Context, config Config, results *Results) error {
	p, err := newPlex(ctx, config, "bench-ports", portsTopology)
	if err != nil {
		return err
	}
	defer p.close()
	application, err := startProgram(ctx, p, target, "PROBE", "binder")
	if err != nil {
		return err
	}
	defer application.end()
	plain, err := startProgram(ctx, p, target, "", "binder")
	if err != nil {
		return err
	}
	defer plain.end()
	if err := bindable(application); err != nil {
		return err
	}
	took := samples{}
	for round := range config.Rounds {
		config.Progress(fmt.Sprintf("ports: binds, round %d of %d", round+1, config.Rounds))
		for turn := range turns {
			for i := range bindWays {
				w := bindWays[(turn+i)%len(bindWays)]
				program := application
				if w.plain {
					program = plain
				}
				answer, err := program.command(fmt.Sprintf("bind %s %d", w.address, bindsEach))
				if err != nil {
					return err
				}
				for _, t := range answer.Took {
					took[w.key] = append(took[w.key], microseconds(time.Duration(t)))
				}
			}
		}
	}
	for _, w := range bindWays {
		results.add(w.key+".p50", median(took[w.key]), "us")
		results.add(w.key+".p99", quantile(took[w.key], 0.99), "us")
	}
	return nil
}

// bindable waits until the DVIPA can be bound to on the target, which has it once it is told.
func bindable(application *program) error {
	ticker := time.NewTicker(reachablePause)
	defer ticker.Stop()
	for limit := time.Now().Add(reachableLimit); ; <-ticker.C {
		_, err := application.command(fmt.Sprintf("bind %s 1", netip.AddrPortFrom(bindDVIPA, 0)))
		if err == nil || time.Now().After(limit) {
			return err
		}
	}
}
