package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
	"github.com/plexlab-dev/plexlab/harness/bench/probe"
)

//go:embed topologies/listen.yaml
var listenTopology []byte

var (
	listenService = netip.MustParseAddrPort("192.168.44.100:7000")
	listenTarget  = netip.MustParseAddr("10.1.0.2")
	// silent is an address of the client's network that no host has.
	silent = netip.MustParseAddr("192.168.44.77")
)

// repeats is how often each of the ways to end is measured for one round of the configuration.
const repeats = 10

// listen measures two times. Eligible: from the call of listen() in an application on MVS2 to the
// end of the client's first connection to the DVIPA that succeeds; the client knocks every 0.2 ms.
// Withdrawn: from the call of close(), or shutdown(), to the first answer of the control API of
// MVS1 whose DPT does not name MVS2 any more; it is asked again and again, as fast as it answers.
func listen(ctx context.Context, config Config, results *Results) error {
	p, err := newPlex(ctx, config, "bench-listen", listenTopology)
	if err != nil {
		return err
	}
	defer p.close()
	application, err := startProgram(ctx, p, target, "PROBE", "listener")
	if err != nil {
		return err
	}
	defer application.end()
	knocker, err := startProgram(ctx, p, client, "", "knocker")
	if err != nil {
		return err
	}
	defer knocker.end()

	var eligible []float64
	for _, ending := range endings {
		config.Progress("listen: " + ending.name)
		var withdrawn []float64
		for range repeats * config.Rounds {
			began, err := becomeEligible(application, knocker)
			if err != nil {
				return err
			}
			ended, err := ending.withdraw(ctx, p, application, knocker)
			if err != nil {
				return fmt.Errorf("%s: %w", ending.name, err)
			}
			eligible, withdrawn = append(eligible, began), append(withdrawn, ended)
		}
		results.addTimes("listen."+ending.name, withdrawn)
	}
	results.addTimes("listen.eligible_ms", eligible)
	return nil
}

// addTimes adds median, 99th percentile and maximum of times in milliseconds.
func (r *Results) addTimes(key string, times []float64) {
	r.add(key+".p50", median(times), "ms")
	r.add(key+".p99", quantile(times, 0.99), "ms")
	r.add(key+".max", quantile(times, 1), "ms")
}

// becomeEligible has the application listen while the client knocks, and returns the time
// between in milliseconds.
func becomeEligible(application, knocker *program) (float64, error) {
	if err := knocker.send("knock " + listenService.String()); err != nil {
		return 0, err
	}
	listening, err := application.command(fmt.Sprintf("listen 0.0.0.0:%d", listenService.Port()))
	if err != nil {
		return 0, err
	}
	in, err := knocker.answer()
	if err != nil {
		return 0, err
	}
	return milliseconds(in.Ended - listening.Began), nil
}

// An ending is a way to stop listening.
type ending struct {
	name string
	verb string // of probe.Listener
	// halfOpen: a request is half open when the listener ends.
	halfOpen bool
}

var endings = []ending{
	{name: "withdrawn_ms", verb: "close"},
	{name: "withdrawn_shutdown_ms", verb: "shutdown"},
	{name: "withdrawn_half_open_ms", verb: "close", halfOpen: true},
}

// withdraw ends listening and returns the milliseconds until MVS1 has withdrawn the target.
func (e ending) withdraw(ctx context.Context, p *plex, application, knocker *program) (float64, error) {
	if e.halfOpen {
		if _, err := knocker.command(fmt.Sprintf("half-open %s %s", silent, listenService)); err != nil {
			return 0, err
		}
	}
	if err := application.send(e.verb); err != nil {
		return 0, err
	}
	gone, err := untilWithdrawn(ctx, p)
	if err != nil {
		return 0, err
	}
	ending, err := application.answer()
	if err != nil {
		return 0, err
	}
	if e.verb == "shutdown" { // the socket is still open
		if _, err := application.command("close"); err != nil {
			return 0, err
		}
	}
	return milliseconds(gone - ending.Began), nil
}

// withdrawLimit bounds the wait for a withdrawal; what is promised is a tenth of a second.
const withdrawLimit = 10 * time.Second

// untilWithdrawn asks the routing stack until its DPT does not name the target, and returns when
// the last answer was there.
func untilWithdrawn(ctx context.Context, p *plex) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, withdrawLimit)
	defer cancel()
	for {
		table, err := p.control.VDPT(ctx)
		if err != nil {
			return 0, fmt.Errorf("wait until %s has left the DPT of %s: %w", target, routing, err)
		}
		now, there := monotonic.Now(), false
		for _, entry := range table.Entries {
			there = there || entry.Target == listenTarget && entry.Port == listenService.Port()
		}
		if !there {
			return now, nil
		}
	}
}

func milliseconds(nanoseconds int64) float64 { return float64(nanoseconds) / 1e6 }

// program is one of the programs of package probe that runs in a node.
type program struct {
	name    string
	in      io.WriteCloser
	answers *json.Decoder
	end     func()
}

// send gives the program a command.
func (p *program) send(line string) error {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return fmt.Errorf("tell the %s %q: %w", p.name, line, err)
	}
	return nil
}

// answer waits for the answer to a command.
func (p *program) answer() (probe.Answer, error) {
	var answer probe.Answer
	if err := p.answers.Decode(&answer); err != nil {
		return answer, fmt.Errorf("hear from the %s: %w", p.name, err)
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("the %s: %s", p.name, answer.Error)
	}
	return answer, nil
}

func (p *program) command(line string) (probe.Answer, error) {
	if err := p.send(line); err != nil {
		return probe.Answer{}, err
	}
	return p.answer()
}
