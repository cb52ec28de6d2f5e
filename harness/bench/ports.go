package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/plexlab-dev/plexlab/harness/bench/etcd"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// portDVIPA is the one whose ports claimers contend for.
var portDVIPA = netip.MustParseAddr("44.0.0.10")

// contenders is how many processes contend where many do.
const contenders = 8

// ports measures cluster-wide ports: bind() as an application sees it, in a laboratory; and, where
// the implementation has a claimer, the port file alone: beside bare locks and etcd, with stacks killed
// while others claim, by all of its ports at once, and by kills inside updates.
func ports(ctx context.Context, config Config, results *Results) error {
	if err := portBinds(ctx, config, results); err != nil {
		return err
	}
	if len(config.Implementation.Claim) == 0 {
		config.Progress(fmt.Sprintf("ports: implementation %s has no claimer, so its port file is not measured", config.Implementation.Name))
		return nil
	}
	for _, measure := range []func(context.Context, Config, *Results) error{portClaims, portVictims, portPool, portKills} {
		if err := measure(ctx, config, results); err != nil {
			return err
		}
	}
	return nil
}

// A portPlex is a port file without stacks, for claimers.
type portPlex struct {
	config Config
	dir    string
}

// pool is what claimers are given ports of: 64,512.
var pool = contract.PortRange{First: 1024, Last: 65535}

// poolSize is how many they are.
var poolSize = int(pool.Last) - int(pool.First) + 1

// memoryDir is on tmpfs, where laboratories have their port files too.
const memoryDir = "/dev/shm"

func newPortPlex(config Config) (*portPlex, error) {
	parent := ""
	if info, err := os.Stat(memoryDir); err == nil && info.IsDir() {
		parent = memoryDir
	}
	dir, err := os.MkdirTemp(parent, "plexlab-bench-")
	if err != nil {
		return nil, err
	}
	return &portPlex{config, dir}, nil
}

func (p *portPlex) close() { os.RemoveAll(p.dir) }

func (p *portPlex) portFile() string { return filepath.Join(p.dir, "ports") }

// xcfOf is the XCF address of stack n, 1 to 128.
func xcfOf(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, byte(n)}) }

// command is that of the claimer of stack n.
func (p *portPlex) command(n int) ([]string, error) {
	return p.config.Implementation.ClaimCommand(impl.Parameters{
		Plex: "BENCH", Stack: fmt.Sprintf("MVS%d", n), XCFAddress: xcfOf(n), PortFile: p.portFile(),
		PoolFirst: pool.First, PoolLast: pool.Last, RestMS: 1000,
	})
}

// start starts the claimer of stack n.
func (p *portPlex) start(ctx context.Context, n int) (*worker, error) {
	argv, err := p.command(n)
	if err != nil {
		return nil, err
	}
	return startWorker(ctx, argv...)
}

// A claimWay is one way to have ports one's own, and the processes that do.
type claimWay struct {
	name    string
	workers workers
}

// turns is how many short turns of each way make a round, so that what else goes on meets all alike.
const turns = 5

// portClaims measures the operations a second of one process and of many, in turns: claims and
// releases through the port file, pairs of lock and unlock of the same byte, and keys created and
// deleted at etcd.
func portClaims(ctx context.Context, config Config, results *Results) error {
	p, err := newPortPlex(config)
	if err != nil {
		return err
	}
	defer p.close()
	server, err := etcd.Start(ctx, p.dir)
	if err != nil {
		return err
	}
	defer server.Close()
	for _, n := range []int{1, contenders} {
		if err := p.claims(ctx, n, server.Endpoint, results); err != nil {
			return err
		}
	}
	return nil
}

func (p *portPlex) claims(ctx context.Context, n int, endpoint string, results *Results) error {
	claiming, err := startWorkers(n, func(i int) (*worker, error) { return p.start(ctx, i) })
	defer claiming.end()
	if err != nil {
		return err
	}
	// The entry is there from now on.
	if _, err := claiming.do(claimer.Job{Do: claimer.Cycle, DVIPA: portDVIPA, For: time.Millisecond}); err != nil {
		return err
	}
	self := p.config.Executable
	locking, err := startWorkers(n, func(int) (*worker, error) {
		return startWorker(ctx, self, "probe", "locker", p.portFile())
	})
	defer locking.end()
	if err != nil {
		return err
	}
	creating, err := startWorkers(n, func(i int) (*worker, error) {
		return startWorker(ctx, self, "probe", "etcd", endpoint, strconv.Itoa(i))
	})
	defer creating.end()
	if err != nil {
		return err
	}
	ways := []claimWay{{"port_file", claiming}, {"bare", locking}, {"etcd", creating}}
	rates, busy := samples{}, 0
	for _, w := range ways {
		rates[w.name] = make([]float64, p.config.Rounds)
	}
	for round := range p.config.Rounds {
		p.config.Progress(fmt.Sprintf("ports: claims by %d, round %d of %d", n, round+1, p.config.Rounds))
		for turn := range turns {
			for i := range ways {
				w := ways[(turn+i)%len(ways)]
				rate, again, err := w.workers.rate(claimer.Job{Do: claimer.Cycle, DVIPA: portDVIPA, For: p.config.Sample / turns})
				if err != nil {
					return fmt.Errorf("%s, %d processes: %w", w.name, n, err)
				}
				rates[w.name][round] += rate / turns
				busy += again
			}
		}
	}
	for _, w := range ways {
		results.add(fmt.Sprintf("ports.claims.%s_%d", w.name, n), median(rates[w.name]), "1/s")
	}
	results.add(fmt.Sprintf("ports.claims.busy_%d", n), float64(busy), "")
	results.add(fmt.Sprintf("ports.claims.ratio_bare_%d", n), pairedRatio(rates["port_file"], rates["bare"]), "")
	results.add(fmt.Sprintf("ports.claims.ratio_etcd_%d", n), pairedRatio(rates["port_file"], rates["etcd"]), "")
	return nil
}

// killEvery is the time between two kills of a contender.
const killEvery = time.Second

// portVictims measures how long a claim takes while many contend, of whom one is killed each second
// and started again. The times are those of the others.
func portVictims(ctx context.Context, config Config, results *Results) error {
	p, err := newPortPlex(config)
	if err != nil {
		return err
	}
	defer p.close()
	config.Progress(fmt.Sprintf("ports: claims by %d, of which one is killed each second", contenders))
	survivors, err := startWorkers(contenders-1, func(i int) (*worker, error) { return p.start(ctx, i) })
	defer survivors.end()
	if err != nil {
		return err
	}
	job := claimer.Job{Do: claimer.Cycle, DVIPA: portDVIPA, For: time.Duration(config.Rounds) * config.Sample, Timed: true}
	if err := survivors.begin(job); err != nil {
		return err
	}
	for left := time.Now().Add(job.For); time.Until(left) > killEvery; {
		victim, err := p.start(ctx, contenders)
		if err != nil {
			return err
		}
		err = errors.Join(victim.ready(), victim.begin(claimer.Job{Do: claimer.Cycle, DVIPA: portDVIPA, For: time.Hour}))
		<-time.After(killEvery)
		if err = errors.Join(err, victim.end()); err != nil {
			return err
		}
	}
	took, busy := claimer.Histogram{}, 0
	for _, w := range survivors {
		answer, err := w.answer()
		if err != nil {
			return fmt.Errorf("claim while another is killed: %w", err)
		}
		for at, n := range answer.Took {
			took[at] += n
		}
		busy += answer.Busy
	}
	results.add("ports.claim_us.p50", microseconds(quantileOf(took, 0.5)), "us")
	results.add("ports.claim_us.p99", microseconds(quantileOf(took, 0.99)), "us")
	results.add("ports.claim_us.max", microseconds(quantileOf(took, 1)), "us")
	results.add("ports.claim_us.busy", float64(busy), "")
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / 1e3 }
