package topo

import "cmp"

// ClusterPorts says how ports of DVIPAs with CLUSTERPORTS are given out. Every field may be left
// out and stands then for the default named beside it.
type ClusterPorts struct {
	// First port that port 0 is served from, 1 to 65535. If left out, 32768, as Linux chooses ports itself.
	First int `yaml:"first,omitempty"`
	// Last port that port 0 is served from, at least first. If left out, 60999.
	Last int `yaml:"last,omitempty"`
	// Seconds for which a freed port that carried outbound connections is given out by number only,
	// 0 to 3600; 0 is not at all. If left out, 60, as long as Linux keeps TIME_WAIT.
	RestS *int `yaml:"rest_s,omitempty"`
	// How the stacks share ports: port-file, a file in memory that all of them map, or distributor:
	// the owner of a DVIPA keeps its table, the others ask it over XCF. If left out, port-file.
	Sharing string `yaml:"sharing,omitempty" jsonschema:"enum=port-file,enum=distributor"`
}

// PlanClusterPorts is handed to every stack.
type PlanClusterPorts struct {
	// First and Last bound the pool that port 0 is served from: 1 <= First <= Last.
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
	// RestMS is how long freed ports rest, in milliseconds; 0 is not at all.
	RestMS int `json:"rest_ms"`
	// Sharing is SharingPortFile or SharingDistributor.
	Sharing string `json:"sharing"`
}

// The sharing techniques.
const (
	SharingPortFile    = "port-file"
	SharingDistributor = "distributor"
)

const (
	maxPort = 65535
	// Linux's own choice (ip_local_port_range, net/ipv4/af_inet.c): servers have the ports below.
	defaultFirst = 32768
	defaultLast  = 60999
	defaultRestS = 60 // TCP_TIMEWAIT_LEN, include/net/tcp.h
	maxRestS     = 3600
)

func (p *planner) readClusterPorts() {
	c := p.topology.ClusterPorts
	first, last := cmp.Or(c.First, defaultFirst), cmp.Or(c.Last, defaultLast)
	rest := defaultRestS
	if c.RestS != nil {
		rest = *c.RestS
	}
	switch {
	case first < 1 || first > maxPort:
		p.fail("/cluster_ports/first", "found %d, expected a port from 1 to %d", first, maxPort)
	case last < first || last > maxPort:
		p.fail("/cluster_ports/last", "found %d, expected a port from %d (first) to %d", last, first, maxPort)
	}
	if rest < 0 || rest > maxRestS {
		p.fail("/cluster_ports/rest_s", "found %d, expected 0 to %d seconds", rest, maxRestS)
	}
	p.plan.ClusterPorts = PlanClusterPorts{
		First: uint16(first), Last: uint16(last), RestMS: rest * 1000, Sharing: cmp.Or(c.Sharing, SharingPortFile),
	}
	// A file is held to the schema before; a topology made in Go is not.
	if s := p.plan.ClusterPorts.Sharing; s != SharingPortFile && s != SharingDistributor {
		p.fail("/cluster_ports/sharing", "found %.40q, expected %s or %s", s, SharingPortFile, SharingDistributor)
	}
}
