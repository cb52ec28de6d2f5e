package topo

import (
	"cmp"
	"path/filepath"
)

// Methods of selection.
const (
	ByRoundRobin = "roundrobin"
	ByWLM        = "wlm"
	ByAgent      = "agent"
)

// Selection says how the weights of targets come about, by which new connections are distributed (Figure 12,
// block 144; T30). A field that is left out stands for the default named beside it; a plan has none left out, unless
// the method is roundrobin.
type Selection struct {
	// roundrobin: those of the profile (WEIGHT), which are 1 if left out there; wlm: those of the profile, times what
	// the system of each stack has free; agent: those that a policy agent answers. If left out, roundrobin.
	Method string `json:"method" yaml:"method,omitempty" jsonschema:"enum=roundrobin,enum=wlm,enum=agent"`
	// The Unix socket on which the policy agent listens, an absolute path inside the laboratory; for agent only.
	Agent string `json:"agent,omitempty" yaml:"agent,omitempty"`
	// Milliseconds between two reports of the load of a system, and between two questions to the agent, which has as
	// long to answer: 100 to 60000. If left out, 1000.
	IntervalMS int `json:"interval_ms" yaml:"interval_ms,omitempty"`
}

// maxSocket is how long the path of a Unix socket can be (unix(7)), without its final zero.
const maxSocket = 107

func (p *planner) readSelection() {
	const at = path("/selection")
	s := p.topology.Selection
	switch s.Method {
	case "", ByRoundRobin:
		if s.IntervalMS != 0 {
			p.fail(at.at("interval_ms"), "found interval_ms for the method %s, expected it for %s or %s only", ByRoundRobin, ByWLM, ByAgent)
		}
	case ByWLM, ByAgent:
		s.IntervalMS = cmp.Or(s.IntervalMS, 1000)
		if s.IntervalMS < 100 || s.IntervalMS > 60000 {
			p.fail(at.at("interval_ms"), "found %d, expected 100 to 60000 milliseconds", s.IntervalMS)
		}
		p.plan.Selection = s
	default:
		p.fail(at.at("method"), "found %.40q, expected %s, %s or %s", s.Method, ByRoundRobin, ByWLM, ByAgent)
		return
	}
	switch {
	case s.Method != ByAgent && s.Agent != "":
		p.fail(at.at("agent"), "found an agent for the method %s, expected it for %s only", cmp.Or(s.Method, ByRoundRobin), ByAgent)
	case s.Method == ByAgent && s.Agent == "":
		p.fail(at, "found no agent, expected the path of its Unix socket")
	case s.Agent != "" && (!filepath.IsAbs(s.Agent) || len(s.Agent) > maxSocket):
		p.fail(at.at("agent"), "found %.120q, expected an absolute path of at most %d characters", s.Agent, maxSocket)
	}
}
