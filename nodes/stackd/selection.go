package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/policy"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/workload"
)

// The methods of selection (--selection).
const (
	byRoundRobin = "roundrobin"
	byWLM        = "wlm"
	byAgent      = "agent"
)

// defaultSelection is the interval of selection where none is given.
const defaultSelection = time.Second

// reportsMissed is how many reports a system may miss before its targets have their own weights again.
const reportsMissed = 5

// selectionOptions say how weights come about.
type selectionOptions struct {
	method   string
	agent    string // the socket, with byAgent only
	interval time.Duration
}

func (o options) checkSelection() (selectionOptions, error) {
	c := selectionOptions{method: o.selection, agent: o.policyAgent, interval: time.Duration(o.selectionMS) * time.Millisecond}
	switch {
	case c.method != byRoundRobin && c.method != byWLM && c.method != byAgent:
		return c, fmt.Errorf("--selection %q: expected %s, %s or %s", c.method, byRoundRobin, byWLM, byAgent)
	case c.method == byAgent && !filepath.IsAbs(c.agent):
		return c, fmt.Errorf("--policy-agent %q: expected the absolute path of the agent's socket", c.agent)
	case c.method != byAgent && c.agent != "":
		return c, fmt.Errorf("--policy-agent %q: expected none with --selection %s", c.agent, c.method)
	case o.selectionMS < 0:
		return c, fmt.Errorf("--selection-ms %d: expected milliseconds, or 0 for the default", o.selectionMS)
	}
	if c.interval == 0 {
		c.interval = defaultSelection
	}
	return c, nil
}

// selection keeps the weights of the targets that this stack distributes to as a workload manager or a policy
// agent has them (Figure 12, block 144; T30), and tells the partners how busy this system is.
type selection struct {
	selectionConfig
	agent *policy.Agent // nil: the workload manager decides

	mu      sync.Mutex
	manager *workload.Manager
	reports map[netip.Addr]systemReport

	given    map[service]map[netip.Addr]uint32 // as last told the core
	failures map[string]bool                   // what fails now, and was told
}

// selectionConfig is what a selection works with.
type selectionConfig struct {
	selectionOptions
	plex string
	self contract.Member
	// measure tells how busy this system is.
	measure func(now time.Time) (contract.Workload, error)
	// broadcast tells every partner.
	broadcast func(contract.Message)
	// distributes tells what this stack distributes now.
	distributes func() ([]distributedDVIPA, error)
	post        func(vipa.Event)
	log         *slog.Logger
}

// systemReport is what one system said of itself.
type systemReport struct {
	contract.Workload
	at time.Time
}

// service is a port of an ownership of a DVIPA; 0 is every port.
type service struct {
	dvipa netip.Addr
	epoch uint64
	port  uint16
}

// distributedDVIPA is one that this stack distributes.
type distributedDVIPA struct {
	dvipa netip.Addr
	epoch uint64
	// candidates have the weights of the profile.
	candidates []contract.Target
	// entries are its entries of the DPT.
	entries []vipa.DPTEntry
	names   map[netip.Addr]string // of stacks
}

func newSelection(c selectionConfig) *selection {
	s := &selection{
		selectionConfig: c,
		manager:         workload.NewManager(reportsMissed * c.interval), reports: make(map[netip.Addr]systemReport),
		given: make(map[service]map[netip.Addr]uint32), failures: make(map[string]bool),
	}
	if c.method == byAgent {
		s.agent = policy.NewAgent(c.selectionOptions.agent)
	}
	return s
}

// run goes on until ctx ends. A nil selection has nothing to do.
func (s *selection) run(ctx context.Context) {
	if s == nil {
		return
	}
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	for {
		s.step(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			if s.agent != nil {
				s.agent.Close()
			}
			return
		}
	}
}

// reported takes in what a partner says of its system.
func (s *selection) reported(from netip.Addr, w contract.Workload, now time.Time) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manager.Report(from, now, w.Capacity, w.Load)
	s.reports[from] = systemReport{w, now}
}

// lost forgets the system of a member that is gone.
func (s *selection) lost(xcf netip.Addr) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manager.Lost(xcf)
	delete(s.reports, xcf)
}

// step is what is done each interval.
func (s *selection) step(ctx context.Context, now time.Time) {
	own, err := s.measure(now)
	if s.tell("this system is not measured", err) {
		s.reported(s.self.XCF, own, now)
		s.broadcast(own)
	}
	all, err := s.distributes()
	if err != nil {
		return // the stack is ending, or has more urgent things to do
	}
	s.forget(all)
	if s.agent == nil {
		s.mu.Lock()
		s.manager.Level(now)
		s.mu.Unlock()
		for _, d := range all {
			s.mu.Lock()
			weights := s.manager.Weights(d.candidates)
			s.mu.Unlock()
			s.give(service{d.dvipa, d.epoch, 0}, weights)
		}
		return
	}
	s.tell("policy agent: the weights stay as they are", s.ask(ctx, all, now))
}

// ask asks the policy agent for the weights of every service, until the first failure; all have one interval.
func (s *selection) ask(ctx context.Context, all []distributedDVIPA, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, s.interval)
	defer cancel()
	for _, d := range all {
		for _, e := range d.entries {
			answer, err := s.agent.Weights(ctx, s.request(d, e, now))
			if err != nil {
				return err
			}
			key := service{d.dvipa, d.epoch, e.Service.Port()}
			weights := maps.Clone(s.given[key])
			if weights == nil {
				weights = make(map[netip.Addr]uint32)
			}
			for _, t := range e.Targets {
				if weight, named := answer.Weights[t.XCF]; named {
					weights[t.XCF] = weight
				}
			}
			s.give(key, weights)
		}
	}
	return nil
}

// request is the question about one entry of the DPT.
func (s *selection) request(d distributedDVIPA, e vipa.DPTEntry, now time.Time) policy.Request {
	static := make(map[netip.Addr]uint32, len(d.candidates))
	for _, t := range d.candidates {
		static[t.XCF] = t.Weight
	}
	request := policy.Request{Plex: s.plex, Stack: s.self.Stack, DVIPA: d.dvipa, Port: e.Service.Port()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range e.Targets {
		target := policy.Target{XCF: t.XCF, Stack: d.names[t.XCF], Static: max(static[t.XCF], 1), Weight: max(t.Weight, 1)}
		if r, ok := s.reports[t.XCF]; ok {
			target.Workload = &policy.Workload{
				Capacity: r.Capacity, Load: r.Load, Connections: r.Connections, AgeMS: now.Sub(r.at).Milliseconds(),
			}
		}
		request.Targets = append(request.Targets, target)
	}
	return request
}

// give tells the core weights that are others than before.
func (s *selection) give(to service, weights map[netip.Addr]uint32) {
	if len(weights) == 0 || maps.Equal(s.given[to], weights) {
		return
	}
	s.given[to] = weights
	s.post(vipa.WeightsChanged{DVIPA: to.dvipa, Port: to.port, Weights: weights})
}

// forget drops what was given to ownerships that are over; the core has done so.
func (s *selection) forget(all []distributedDVIPA) {
	maps.DeleteFunc(s.given, func(to service, _ map[netip.Addr]uint32) bool {
		for _, d := range all {
			if d.dvipa == to.dvipa && d.epoch == to.epoch {
				return false
			}
		}
		return true
	})
}

// tell logs a failure when it begins and when it is over, and says whether there is none.
func (s *selection) tell(what string, err error) bool {
	switch {
	case err != nil && !s.failures[what]:
		s.log.Warn(what, "error", err)
	case err == nil && s.failures[what]:
		s.log.Info("over: " + what)
	}
	s.failures[what] = err != nil
	return err == nil
}

// distributed is what a core distributes, taken on its loop.
func distributed(core *vipa.Stack, self contract.Member) []distributedDVIPA {
	names := stackNames(self, core.Members())
	var all []distributedDVIPA
	for _, d := range core.DVIPAs() {
		if d.Status != vipa.StatusActive || d.Distribution == nil {
			continue
		}
		one := distributedDVIPA{dvipa: d.Prefix.Addr(), epoch: d.Epoch, candidates: d.Distribution.Targets, names: names}
		if d.Distribution.All {
			for xcf := range names {
				one.candidates = append(one.candidates, contract.Target{XCF: xcf})
			}
		}
		all = append(all, one)
	}
	for _, e := range core.DPT() {
		for i := range all {
			if all[i].dvipa == e.Service.Addr() {
				all[i].entries = append(all[i].entries, e)
			}
		}
	}
	return all
}

// openSelection makes the selection of a stack, nil for round robin.
func (s *stack) openSelection(o selectionOptions) (*selection, error) {
	if o.method == byRoundRobin {
		return nil, nil
	}
	meter, err := workload.NewMeter()
	if err != nil {
		return nil, err
	}
	return newSelection(selectionConfig{
		selectionOptions: o, plex: s.options.plex, self: s.self, post: s.loop.post, log: s.log,
		measure: func(now time.Time) (contract.Workload, error) {
			capacity, load, err := meter.Measure(now)
			if err != nil {
				return contract.Workload{}, err
			}
			held, err := s.monitor.Connections(s.active.has)
			return contract.Workload{Capacity: capacity, Load: load, Connections: uint32(len(held))}, err
		},
		broadcast: func(m contract.Message) { s.send(netip.Addr{}, m) },
		distributes: func() (all []distributedDVIPA, err error) {
			err = s.loop.look(o.interval, func() { all = distributed(s.loop.core, s.self) })
			return all, err
		},
	}), nil
}
