package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
)

var (
	//go:embed topologies/distribute.yaml
	distributeTopology []byte
	//go:embed topologies/dnat.nft
	dnatRules []byte
	//go:embed topologies/haproxy.cfg
	haproxyConfig []byte
)

// Nodes of topologies/distribute.yaml.
const (
	client  = "CLIENT"
	router  = "ROUTER"
	routing = "MVS1"
	target  = "MVS2"
)

// A way leads from the client to the servers of the target; all ways pass the same links.
type way struct {
	name      string
	web, bulk netip.AddrPort // of nginx and of iperf3
	// enter and leave are done around each measurement, a slice of connections too; nil for nothing.
	enter, leave func(context.Context, *plex) error
}

var ways = []way{
	{name: "direct", web: netip.MustParseAddrPort("10.1.0.2:80"), bulk: netip.MustParseAddrPort("10.1.0.2:5201")},
	{name: "distributed", web: netip.MustParseAddrPort("192.168.44.100:80"), bulk: netip.MustParseAddrPort("192.168.44.100:5201")},
	// The rules are there only while they are measured: connection tracking, which comes with
	// them, sees every packet of the namespace.
	{name: "dnat", web: netip.MustParseAddrPort("192.168.44.1:8080"), bulk: netip.MustParseAddrPort("192.168.44.1:8201"), enter: addDNAT, leave: removeDNAT},
	{name: "haproxy", web: netip.MustParseAddrPort("192.168.44.1:9080"), bulk: netip.MustParseAddrPort("192.168.44.1:9201")},
}

const (
	// loadWorkers connections are open at a time: enough to keep two cores busy.
	loadWorkers = "16"
	loadSources = "192.168.46.64/26"
	loadRequest = "GET / HTTP/1.1\r\nHost: plex\r\n\r\n"
)

// distribute measures all ways in every round. Bulk throughput is measured in an order that turns
// from round to round; connections, of which a slow moment of the machine changes the rate by a
// fifth, in short slices of all ways by turns (see sliceOrders).
func distribute(ctx context.Context, config Config, results *Results) error {
	p, err := newPlex(ctx, config, "bench-distribute", distributeTopology)
	if err != nil {
		return err
	}
	defer p.close()
	if err := prepareWays(ctx, p); err != nil {
		return err
	}
	var connections, toPlex, fromPlex = samples{}, samples{}, samples{}
	for round := range config.Rounds {
		config.Progress(fmt.Sprintf("distribute: round %d of %d, connections", round+1, config.Rounds))
		if err := measureConnections(ctx, p, round, connections); err != nil {
			return err
		}
		for i := range ways {
			w := ways[(round+i)%len(ways)]
			config.Progress(fmt.Sprintf("distribute: round %d of %d, throughput, %s", round+1, config.Rounds, w.name))
			if err := w.within(ctx, p, func() error { return w.measureThroughput(ctx, p, toPlex, fromPlex) }); err != nil {
				return err
			}
		}
	}
	results.addWays("distribute.connections", "1/s", 1, connections)
	results.addWays("distribute.throughput_to_plex", "Gbit/s", 1e-9, toPlex)
	results.addWays("distribute.throughput_from_plex", "Gbit/s", 1e-9, fromPlex)
	// The slower direction counts.
	results.add("distribute.throughput.ratio_direct", math.Min(
		pairedRatio(toPlex["distributed"], toPlex["direct"]),
		pairedRatio(fromPlex["distributed"], fromPlex["direct"])), "")
	return nil
}

// samples are the measurements of a quantity in the order of the rounds, by way.
type samples map[string][]float64

// addWays adds the median of every way and the paired ratios of the distributed one, and of DNAT and
// HAProxy to the direct one.
func (r *Results) addWays(key, unit string, scale float64, s samples) {
	for _, w := range ways {
		r.add(key+"."+w.name, median(s[w.name])*scale, unit)
	}
	r.add(key+".ratio_direct", pairedRatio(s["distributed"], s["direct"]), "")
	r.add(key+".ratio_dnat", pairedRatio(s["distributed"], s["dnat"]), "")
	r.add(key+".ratio_haproxy", pairedRatio(s["distributed"], s["haproxy"]), "")
	r.add(key+".dnat_ratio_direct", pairedRatio(s["dnat"], s["direct"]), "")
	r.add(key+".haproxy_ratio_direct", pairedRatio(s["haproxy"], s["direct"]), "")
}

// prepareWays makes the target's real address reachable through the routing stack, and starts
// HAProxy there.
func prepareWays(ctx context.Context, p *plex) error {
	if _, err := p.output(ctx, router, "ip", "route", "add", "10.1.0.0/24", "via", "192.168.44.1"); err != nil {
		return err
	}
	// HAProxy closes after its clients do, so that the remnants of its own connections are its;
	// these settings are what keeps its ephemeral ports from running out. sysctl(8) is not everywhere.
	for setting, value := range map[string]string{
		"net/ipv4/tcp_tw_reuse": "1", "net/ipv4/ip_local_port_range": "1024 65535",
	} {
		if _, err := p.output(ctx, routing, "sh", "-c", fmt.Sprintf("echo %s >/proc/sys/%s", value, setting)); err != nil {
			return err
		}
	}
	if err := p.start(ctx, routing, haproxyConfig, "haproxy", "-db", "-f", "/dev/stdin"); err != nil {
		return err
	}
	for _, w := range ways {
		if w.enter == nil {
			if err := p.reachable(ctx, client, w.web, w.bulk); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	return nil
}

func addDNAT(ctx context.Context, p *plex) error {
	_, err := p.input(ctx, dnatRules, routing, "nft", "-f", "-")
	return err
}

func removeDNAT(ctx context.Context, p *plex) error {
	_, err := p.output(ctx, routing, "nft", "delete", "table", "ip", "figure1")
	return err
}

// sliceOrders are the orders of the ways in the slices of a round, by their place in the list: each way
// stands once in every place and follows every other once. So no slow moment of the machine is one
// way's alone, nor what a way leaves to be done after its slice, such as table entries that expire.
var sliceOrders = [][]int{{0, 1, 3, 2}, {1, 2, 0, 3}, {2, 3, 1, 0}, {3, 0, 2, 1}}

// slicesInSample divide Config.Sample into the slices of connections. Each way has one slice in every
// turn, so it is measured for a third longer than a sample.
const slicesInSample = 3

// measureConnections takes one sample of the connections of every way; turns begin with another one
// in every round.
func measureConnections(ctx context.Context, p *plex, round int, connections samples) error {
	results := make([]load.Result, len(ways))
	for turn := range sliceOrders {
		for _, i := range sliceOrders[(round+turn)%len(sliceOrders)] {
			w := ways[i]
			err := w.within(ctx, p, func() error {
				slice, err := connect(ctx, p, w.web, p.config.Sample/slicesInSample)
				results[i] = results[i].Plus(slice)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	for i, w := range ways {
		connections[w.name] = append(connections[w.name], results[i].PerSecond())
	}
	return nil
}

// measureThroughput takes one sample of each direction.
func (w way) measureThroughput(ctx context.Context, p *plex, toPlex, fromPlex samples) error {
	to, err := throughput(ctx, p, w.bulk)
	if err != nil {
		return err
	}
	from, err := throughput(ctx, p, w.bulk, "--reverse")
	if err != nil {
		return err
	}
	toPlex[w.name] = append(toPlex[w.name], to)
	fromPlex[w.name] = append(fromPlex[w.name], from)
	return nil
}

// within measures a way while it is there; an error names it.
func (w way) within(ctx context.Context, p *plex, measure func() error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", w.name, err)
		}
	}()
	if w.enter != nil {
		if err := w.enter(ctx, p); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.leave(ctx, p)) }()
	}
	return measure()
}

// maxFailed is the share of connections that may fail before a rate means nothing.
const maxFailed = 0.001

// connect counts connections for as long as given: connect, a request to nginx, its answer, close
// by the client.
func connect(ctx context.Context, p *plex, address netip.AddrPort, duration time.Duration) (load.Result, error) {
	var result load.Result
	output, err := p.output(ctx, client, p.config.Executable, "load", address.String(), "--workers", loadWorkers,
		"--sources", loadSources, "--request", loadRequest, "--duration", duration.String())
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal(output, &result); err != nil {
		return result, fmt.Errorf("read what the load client says: %w", err)
	}
	if failed := result.Failed(); float64(failed) > maxFailed*float64(result.Connections) {
		return result, fmt.Errorf("%d of %d connections to %s failed: %v",
			failed, failed+result.Connections, address, result.Failures)
	}
	return result, nil
}

// throughput is what iperf3 receives, in bits a second.
func throughput(ctx context.Context, p *plex, address netip.AddrPort, options ...string) (float64, error) {
	seconds := max(1, int(math.Round(p.config.Sample.Seconds())))
	argv := append([]string{"iperf3", "--client", address.Addr().String(), "--port", strconv.Itoa(int(address.Port())),
		"--json", "--time", strconv.Itoa(seconds)}, options...)
	// A server serves one test at a time and opens its listener anew for the next, so for a moment
	// it is busy, refuses, or, behind a proxy, closes at once.
	var report iperfReport
	for limit := time.Now().Add(busyLimit); ; {
		report = iperfReport{}
		output, err := p.output(ctx, client, argv...)
		if decodeErr := json.Unmarshal(output, &report); decodeErr != nil {
			return 0, errors.Join(err, fmt.Errorf("read what iperf3 says: %w", decodeErr))
		}
		if report.Error == "" || time.Now().After(limit) {
			break
		}
	}
	switch received := report.End.Received.BitsPerSecond; {
	case report.Error != "":
		return 0, fmt.Errorf("iperf3 to %s: %s", address, report.Error)
	case received == 0:
		return 0, fmt.Errorf("iperf3 to %s: nothing was received", address)
	default:
		return received, nil
	}
}

// busyLimit bounds the wait for a server that is not ready for the next test.
const busyLimit = 5 * time.Second

// iperfReport is what is read of the report of iperf3 --json. Its standard output holds the
// report of a test that failed too.
type iperfReport struct {
	Error string `json:"error"`
	End   struct {
		Received struct {
			BitsPerSecond float64 `json:"bits_per_second"`
		} `json:"sum_received"`
	} `json:"end"`
}
