package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// defaultPortRows is how many ports of each DVIPA GET /v1/ports shows unless asked for more.
const defaultPortRows = 1000

// portStates are the states of the coupling facility by the words of the control API.
var portStates = map[cf.State]string{cf.OK: control.PortsOK, cf.Filling: control.PortsFilling, cf.Degraded: control.PortsDegraded}

// findingKinds are what the audit of an entry finds by the words of the control API.
var findingKinds = map[portfile.Kind]string{
	portfile.Inconsistent:   control.FindingInconsistent,
	portfile.NoHolder:       control.FindingNoHolder,
	portfile.HeldAvailable:  control.FindingHeldAvailable,
	portfile.SeveralHolders: control.FindingSeveralHolders,
	portfile.DeadHolder:     control.FindingDeadHolder,
}

// ports shows the coupling facility, and audits it against the sockets of this stack.
func (s *stack) ports(r *http.Request) (control.Ports, error) {
	limit, err := number(r, "limit", defaultPortRows)
	if err != nil {
		return control.Ports{}, err
	}
	whole, err := s.facility.View(r.Context())
	if err != nil {
		return control.Ports{}, err
	}
	view := control.Ports{
		Sharing: s.options.sharing, State: portStates[whole.State], Problem: whole.Problem,
		DVIPAs: []control.DVIPAPorts{}, Findings: []control.PortFinding{},
	}
	for _, dvipa := range whole.DVIPAs {
		view.DVIPAs = append(view.DVIPAs, dvipaPorts(dvipa, int(min(limit, 1<<16))))
		for _, f := range dvipa.Findings {
			view.Findings = append(view.Findings, control.PortFinding{
				DVIPA: dvipa.DVIPA, Port: f.Port, Kind: findingKinds[f.Kind], Stacks: holders(dvipa, f.Port), Text: f.String(),
			})
		}
		if dvipa.Problem != "" {
			continue // what it holds is not known
		}
		found, err := s.auditSockets(r.Context(), dvipa)
		if err != nil {
			return view, err
		}
		view.Findings = append(view.Findings, found...)
	}
	return view, nil
}

func dvipaPorts(v cf.DVIPAView, limit int) control.DVIPAPorts {
	row := control.DVIPAPorts{
		DVIPA: v.DVIPA, Owner: v.Owner, State: control.PortsOK, Problem: v.Problem,
		First: v.Pool.First, Last: v.Pool.Last, Available: v.Available - v.Resting, Ports: []control.ClusterPort{},
	}
	if v.Problem != "" {
		row.State = control.PortsDegraded
	}
	for _, port := range v.Ports {
		shown := control.ClusterPort{Port: port.Port, Holders: slices.Sorted(slices.Values(port.Holders)), RestingMS: port.Rest.Milliseconds()}
		switch port.Use {
		case cf.Unique:
			shown.Use = control.UseUnique
			row.Unique++
		case cf.Shared:
			shown.Use = control.UseShared
			row.Shared++
		default:
			shown.Use = control.UseResting
			row.Resting++
		}
		if shown.Holders == nil {
			shown.Holders = []string{}
		}
		if len(row.Ports) < limit {
			row.Ports = append(row.Ports, shown)
		}
	}
	return row
}

// auditSockets compares what this stack holds of a DVIPA with the sockets that it has.
func (s *stack) auditSockets(ctx context.Context, v cf.DVIPAView) ([]control.PortFinding, error) {
	if ctx.Err() != nil || !s.addresses.Load().ClusterPorts(v.DVIPA) {
		return nil, ctx.Err()
	}
	used, err := sight{s.monitor, s.path}.portsInUse(v.DVIPA)
	if err != nil {
		return nil, err
	}
	var found []control.PortFinding
	find := func(port uint16, kind, text string) {
		found = append(found, control.PortFinding{
			DVIPA: v.DVIPA, Port: port, Kind: kind, Stacks: []string{s.self.Stack}, Text: fmt.Sprintf("port %d: %s", port, text),
		})
	}
	for _, port := range v.Ports {
		mine := slices.Contains(port.XCF, s.self.XCF)
		if mine && !used[port.Port] {
			find(port.Port, control.FindingNoSocket, s.self.Stack+" holds it, and no socket there uses it")
		}
		if mine {
			delete(used, port.Port)
		}
	}
	for _, port := range slices.Sorted(maps.Keys(used)) {
		find(port, control.FindingNotHeld, "a socket of "+s.self.Stack+" uses it, and the stack does not hold it")
	}
	return found, nil
}

// holders are the stacks that hold a port.
func holders(v cf.DVIPAView, port uint16) []string {
	for _, p := range v.Ports {
		if p.Port == port && port != 0 {
			return p.Holders
		}
	}
	return nil
}
