package bench

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/harness/bench/probe"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

//go:embed topologies/takeover.yaml
var takeoverTopology []byte

// Nodes of topologies/takeover.yaml besides MVS1, which owns the DVIPA.
const backup = "MVS4"

var (
	takeoverService = netip.MustParseAddrPort("192.168.44.100:7000")
	takeoverTargets = []string{target, "MVS3"}
	// attemptSources is the part of the client's network from which connections are asked for in packets
	// of its own; ROUTER sends it to the client, whose kernel knows nothing of it.
	attemptSources = netip.MustParsePrefix("192.168.46.128/26")
	attemptRoute   = netip.MustParseAddr("192.168.46.1")
)

// What is done for one round of the configuration: of the faults, the ones that take seconds once.
const (
	deathsARound   = 2 // with keepalived at its fastest; one more with its defaults
	silencesARound = 3 // of each kind
)

// takeover measures for how long nobody answers when the owner of a DVIPA fails and when it comes back, and what
// becomes of connections, beside VRRP on the same hosts; and what it takes of a processor to notice.
func takeover(ctx context.Context, config Config, results *Results) error {
	t, err := newTakeover(ctx, config, "bench-takeover", takeoverTopology, takeoverService)
	if err != nil {
		return err
	}
	defer t.close()
	for _, measure := range []func(context.Context, *Results) error{t.deaths, t.silences, t.conversations} {
		if err := measure(ctx, results); err != nil {
			return err
		}
	}
	t.close()
	if err := routedGap(ctx, config, results); err != nil {
		return fmt.Errorf("with a routing protocol: %w", err)
	}
	return detection(ctx, config, results)
}

// takeoverPlex is a plex whose DVIPA moves, with the programs that notice.
type takeoverPlex struct {
	*plex
	service  netip.AddrPort
	backup   *control.Client
	pulse    *program // at the service
	programs []*program
}

func newTakeover(ctx context.Context, config Config, name string, topology []byte, service netip.AddrPort) (*takeoverPlex, error) {
	p, err := newPlex(ctx, config, name, topology)
	if err != nil {
		return nil, err
	}
	t := &takeoverPlex{plex: p, service: service, backup: p.lab.Control(backup)}
	if err := t.prepare(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// prepare starts the programs and waits until the service is there.
func (t *takeoverPlex) prepare(ctx context.Context) error {
	if _, err := t.output(ctx, router, "ip", "route", "add", attemptSources.String(), "via", attemptRoute.String()); err != nil {
		return err
	}
	for _, node := range takeoverTargets {
		echo, err := t.program(ctx, node, "ECHO", "echo")
		if err != nil {
			return err
		}
		if _, err := echo.command(fmt.Sprintf("serve 0.0.0.0:%d", t.service.Port())); err != nil {
			return err
		}
	}
	var err error
	if t.pulse, err = t.program(ctx, client, "", "pulse"); err != nil {
		return err
	}
	return t.reachable(ctx, client, t.service)
}

// program starts a favoured program that stays until the plex is closed.
func (t *takeoverPlex) program(ctx context.Context, node, application, name string) (*program, error) {
	started, err := startFavoured(ctx, t.plex, node, application, name)
	if err == nil {
		t.programs = append(t.programs, started)
	}
	return started, err
}

// close may be called again.
func (t *takeoverPlex) close() {
	for _, started := range t.programs {
		started.end()
	}
	t.programs = nil
	if t.plex != nil {
		t.backup.Close()
		t.plex.close()
	}
	t.plex = nil
}

// gap is the longest time in milliseconds between two attempts at a service that are answered, from before
// event until the service answers again after it.
func gap(pulse *program, service netip.AddrPort, event func() error) (float64, error) {
	if err := beginPulse(pulse, service); err != nil {
		return 0, err
	}
	if err := event(); err != nil {
		return 0, err
	}
	return endPulse(pulse)
}

func beginPulse(pulse *program, service netip.AddrPort) error {
	_, err := pulse.command(fmt.Sprintf("begin %s %s", attemptSources, service))
	return err
}

func endPulse(pulse *program) (float64, error) {
	longest, err := pulse.command("end")
	return milliseconds(longest.Ended - longest.Began), err
}

// away is an event: a fault, and the takeover by MVS4.
func (t *takeoverPlex) away(ctx context.Context, fault func() error) func() error {
	return func() error {
		if err := fault(); err != nil {
			return err
		}
		return t.owned(ctx, backup, t.backup)
	}
}

// back is an event: what ends a fault, and the takeback by MVS1, which MVS4 knows of.
func (t *takeoverPlex) back(ctx context.Context, end func() error) func() error {
	return func() error {
		if err := end(); err != nil {
			return err
		}
		for _, asked := range []*control.Client{t.control, t.backup} {
			if err := t.owned(ctx, routing, asked); err != nil {
				return err
			}
		}
		return nil
	}
}

// ownedLimit bounds the wait for a new owner.
const ownedLimit = 15 * time.Second

// owned waits until a stack says that the owner of the DVIPA is stack.
func (t *takeoverPlex) owned(ctx context.Context, stack string, asked *control.Client) error {
	ctx, cancel := context.WithTimeout(ctx, ownedLimit)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := asked.VIPADYN(ctx)
		for _, row := range answer.DVIPAs {
			if row.DVIPA == t.service.Addr() && row.Owner == stack {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("wait until %s owns %s: %w", stack, t.service.Addr(), err)
		case <-ticker.C:
		}
	}
}

func (t *takeoverPlex) kill(ctx context.Context) func() error {
	return func() error { return t.lab.Kill(ctx, routing) }
}

func (t *takeoverPlex) restart(ctx context.Context) func() error {
	return func() error { return t.lab.StartStack(ctx, routing) }
}

// deaths kills MVS1, and keepalived with it: when the process of a stack ends, the links of its node go down.
func (t *takeoverPlex) deaths(ctx context.Context, results *Results) error {
	other, err := t.program(ctx, client, "", "pulse")
	if err != nil {
		return err
	}
	var deaths, takebacks []float64
	vrrpGaps := map[string][]float64{}
	for _, series := range []struct {
		advertisement, about string
		rounds               int
	}{
		{vrrpDefault, "its defaults", t.config.Rounds},
		{vrrpFast, "10 ms advertisements", deathsARound * t.config.Rounds},
	} {
		v, err := newVRRP(ctx, t.plex, series.advertisement)
		if err != nil {
			return err
		}
		for round := range series.rounds {
			t.config.Progress(fmt.Sprintf("takeover: owner killed, keepalived with %s, %d of %d", series.about, round+1, series.rounds))
			var death float64
			vrrpGap, err := gap(other, vrrpService, func() (err error) {
				death, err = gap(t.pulse, t.service, t.away(ctx, t.kill(ctx)))
				return err
			})
			if err != nil {
				v.close()
				return err
			}
			takeback, err := gap(t.pulse, t.service, t.back(ctx, t.restart(ctx)))
			if err == nil {
				err = v.restart(ctx)
			}
			if err != nil {
				v.close()
				return err
			}
			deaths, takebacks = append(deaths, death), append(takebacks, takeback)
			vrrpGaps[series.advertisement] = append(vrrpGaps[series.advertisement], vrrpGap)
		}
		v.close()
	}
	results.addGaps("takeover.death_gap_ms", deaths)
	results.addGaps("takeover.takeback_gap_ms", takebacks)
	results.addGaps("takeover.keepalived_gap_ms", vrrpGaps[vrrpDefault])
	results.addGaps("takeover.keepalived_fast_gap_ms", vrrpGaps[vrrpFast])
	return nil
}

// addGaps adds median and maximum.
func (r *Results) addGaps(key string, gaps []float64) {
	r.add(key+".p50", median(gaps), "ms")
	r.add(key+".max", quantile(gaps, 1), "ms")
}

// silences lets MVS1 fall silent in two ways. The slower way counts.
func (t *takeoverPlex) silences(ctx context.Context, results *Results) error {
	var medians []float64
	for _, way := range []struct {
		name, about string
		fault, end  func() error
	}{
		{
			"frozen", "owner frozen",
			func() error { return t.lab.Freeze(ctx, routing) },
			func() error { return t.lab.Thaw(ctx, routing) },
		},
		{
			"cut", "links of the owner cut",
			func() error { return t.links(ctx, t.lab.LinkDown) },
			func() error { return t.links(ctx, t.lab.LinkUp) },
		},
	} {
		var gaps []float64
		rounds := silencesARound * t.config.Rounds
		for round := range rounds {
			t.config.Progress(fmt.Sprintf("takeover: %s, %d of %d", way.about, round+1, rounds))
			took, err := gap(t.pulse, t.service, t.away(ctx, way.fault))
			if err != nil {
				return fmt.Errorf("%s: %w", way.about, err)
			}
			if err := t.back(ctx, way.end)(); err != nil {
				return fmt.Errorf("%s, and well again: %w", way.about, err)
			}
			gaps = append(gaps, took)
		}
		results.addGaps("takeover."+way.name+"_gap_ms", gaps)
		medians = append(medians, median(gaps))
	}
	results.add("takeover.silence_gap_ms.p50", math.Max(medians[0], medians[1]), "ms")
	return nil
}

// links does something with both links of MVS1.
func (t *takeoverPlex) links(ctx context.Context, do func(ctx context.Context, node, link string) error) error {
	for _, link := range []string{"xcf0", "ext0"} {
		if err := do(ctx, routing, link); err != nil {
			return err
		}
	}
	return nil
}

const (
	// conversing connections stay open, and openings a second are opened besides.
	conversing = 1000
	openings   = 200
	// undisturbed is how long they talk before anything happens, and recovering after one event until the next: what is
	// sent again because of a death is not to meet the takeback.
	undisturbed, recovering = time.Second, time.Second
	// timerSteps is what a retransmission may be late: two of the steps in which the kernel keeps time.
	timerSteps = 8.0 // ms, CONFIG_HZ 250
	// leastRTO is what no retransmission time-out is below, in ns (TCP_RTO_MIN, include/net/tcp.h).
	leastRTO = 200_000_000
)

// conversations has connections talk while MVS1 dies and comes back, and counts the lost ones: what failed, or could
// not be opened, or waited longer than the gap and one retransmission time-out, with what an echo takes
// anyway. Beside it the same with keepalived at its fastest, without its takeback.
func (t *takeoverPlex) conversations(ctx context.Context, results *Results) error {
	talker, err := t.program(ctx, client, "", "talker")
	if err != nil {
		return err
	}
	var all, lost, longest, usual float64
	for round := range t.config.Rounds {
		t.config.Progress(fmt.Sprintf("takeover: connections, %d of %d", round+1, t.config.Rounds))
		if err := converse(ctx, talker, t.service); err != nil {
			return err
		}
		death, err := gap(t.pulse, t.service, t.away(ctx, t.kill(ctx)))
		if err != nil {
			return err
		}
		if err := pause(ctx, recovering); err != nil {
			return err
		}
		takeback, err := gap(t.pulse, t.service, t.back(ctx, t.restart(ctx)))
		if err != nil {
			return err
		}
		if err := pause(ctx, recovering); err != nil {
			return err
		}
		ended, err := talker.command("end")
		if err != nil {
			return err
		}
		of, stall := t.lost(ended.Talk, math.Max(death, takeback))
		all, lost, longest = all+float64(ended.Talk.Connections), lost+of, math.Max(longest, stall)
		usual = math.Max(usual, milliseconds(ended.Talk.Usual))
	}
	results.add("takeover.connections", all, "")
	results.add("takeover.connections_lost", lost, "")
	results.add("takeover.stall_ms.max", longest, "ms")
	results.add("takeover.undisturbed_wait_ms.max", usual, "ms")

	v, err := newVRRP(ctx, t.plex, vrrpFast)
	if err != nil {
		return err
	}
	defer v.close()
	t.config.Progress("takeover: connections, keepalived")
	if err := converse(ctx, talker, vrrpService); err != nil {
		return err
	}
	death, err := gap(t.pulse, vrrpService, t.kill(ctx))
	if err != nil {
		return err
	}
	ended, err := talker.command("end")
	if err != nil {
		return err
	}
	of, _ := t.lost(ended.Talk, death)
	results.add("takeover.keepalived_connections", float64(ended.Talk.Connections), "")
	results.add("takeover.keepalived_connections_lost", of, "")
	return nil
}

// converse has the connections talk, and returns when they have done so undisturbed.
func converse(ctx context.Context, talker *program, service netip.AddrPort) error {
	if _, err := talker.command(fmt.Sprintf("talk %s %d %d", service, conversing, openings)); err != nil {
		return err
	}
	if err := pause(ctx, undisturbed); err != nil {
		return err
	}
	_, err := talker.command("mark")
	return err
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// lost is how many connections were, and the longest wait of those that did not fail, in milliseconds.
func (t *takeoverPlex) lost(talk *probe.Talk, gap float64) (count, longest float64) {
	for reason, n := range talk.Failures {
		t.config.Progress(fmt.Sprintf("takeover: %d connections lost: %s", n, reason))
		count += float64(n)
	}
	stalled := 0
	for _, wait := range talk.Waits {
		longest = math.Max(longest, milliseconds(wait.Echo))
		if milliseconds(wait.Echo) > gap+milliseconds(cmp.Or(wait.RTO, leastRTO)+talk.Usual)+timerSteps {
			stalled++
		}
	}
	if stalled > 0 {
		t.config.Progress(fmt.Sprintf("takeover: %d connections lost: no echo for longer than %.1f ms and their retransmission time-out, up to %.1f ms",
			stalled, gap+milliseconds(talk.Usual), longest))
	}
	return count + float64(stalled), longest
}
