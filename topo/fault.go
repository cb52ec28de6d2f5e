package topo

import (
	"cmp"
	"slices"
	"strings"
)

// verbs are the kinds of argument that each verb takes; the last of partition repeats.
var verbs = map[string][]string{
	"kill": {"STACK"}, "freeze": {"STACK"}, "thaw": {"STACK"}, "start": {"STACK"},
	"link-down": {"NODE", "LINK"}, "link-up": {"NODE", "LINK"},
	"drop": {"NETWORK", "FROM", "TO"}, "partition": {"NETWORK", "GROUP"}, "heal": {"NETWORK"},
}

func (p *planner) readFaults() {
	for i, f := range p.topology.Faults {
		at := path("/faults").at(i)
		if f.AfterMS < 0 {
			p.fail(at.at("after_ms"), "found %d, expected 0 or more milliseconds", f.AfterMS)
		}
		p.checkFault(at, f)
		p.plan.Faults = append(p.plan.Faults, f)
	}
	slices.SortStableFunc(p.plan.Faults, func(a, b PlanFault) int { return cmp.Compare(a.AfterMS, b.AfterMS) })
}

func (p *planner) checkFault(at path, f PlanFault) {
	kinds, known := verbs[f.Verb]
	if !known {
		p.fail(at.at("verb"), "found %.40q, expected kill, freeze, thaw, start, link-down, link-up, drop, partition or heal", f.Verb)
		return
	}
	if len(f.Args) < len(kinds) || len(f.Args) > len(kinds) && f.Verb != "partition" {
		p.fail(at.at("args"), "found %d arguments of %s, expected %s", len(f.Args), f.Verb, strings.Join(kinds, " "))
		return
	}
	for j, arg := range f.Args {
		p.checkArgument(at.at("args", j), kinds[min(j, len(kinds)-1)], arg, f.Args[0])
	}
}

// checkArgument checks one argument by its kind; first is the first one of the same fault.
func (p *planner) checkArgument(at path, kind, arg, first string) {
	switch kind {
	case "STACK":
		if n := p.nodeNamed(arg); n == nil || n.Kind != KindStack {
			p.fail(at, "found %.40q, expected the name of a stack", arg)
		}
	case "NODE":
		if p.nodeNamed(arg) == nil {
			p.fail(at, "found %.40q, expected the name of a node", arg)
		}
	case "LINK":
		if n := p.nodeNamed(first); n != nil && !slices.ContainsFunc(n.Links, func(l PlanLink) bool { return l.Name == arg }) {
			p.fail(at, "found %.40q, expected a link of %s: %s", arg, n.Name, joinLinks(n.Links))
		}
	case "NETWORK":
		if _, known := p.networks[arg]; !known {
			p.fail(at, "found %.40q, expected one of the networks %s", arg, p.networkNames())
		}
	default: // FROM, TO and the nodes of a GROUP
		for name := range strings.SplitSeq(arg, ",") {
			n := p.nodeNamed(name)
			if _, known := p.networks[first]; known && (n == nil || !slices.ContainsFunc(n.Links, func(l PlanLink) bool { return l.Network == first })) {
				p.fail(at, "found %.40q, expected the name of a node on network %s", name, first)
			}
		}
	}
}

// nodeNamed finds a node by its name as it is in the plan, nil if there is none.
func (p *planner) nodeNamed(name string) *PlanNode {
	if i, known := p.nodes[strings.ToUpper(name)]; known && p.plan.Nodes[i].Name == name {
		return &p.plan.Nodes[i]
	}
	return nil
}

func joinLinks(links []PlanLink) string {
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}
