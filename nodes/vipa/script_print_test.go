package vipa_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// name prints an address by its symbol.
func (s *script) name(a netip.Addr) string {
	for symbol, address := range s.symbols {
		if address == a {
			return symbol
		}
	}
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func (s *script) socket(a netip.AddrPort) string {
	return fmt.Sprintf("%s:%d", s.name(a.Addr()), a.Port())
}

func (s *script) prefix(p netip.Prefix) string {
	return fmt.Sprintf("%s/%d", s.name(p.Addr()), p.Bits())
}

func (s *script) connections(all []contract.Connection) string {
	var words []string
	for _, c := range all {
		words = append(words, s.socket(c.Remote)+">"+s.socket(c.Local))
	}
	return strings.Join(words, " ")
}

func (s *script) targets(all []contract.Target) string {
	if len(all) == 0 {
		return "none"
	}
	var words []string
	for _, t := range all {
		word := s.name(t.XCF)
		if t.Weight > 1 {
			word += fmt.Sprintf("*%d", t.Weight)
		}
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

func (s *script) action(a vipa.Action) string {
	switch a := a.(type) {
	case vipa.Send:
		to := "everyone"
		if a.To.IsValid() {
			to = s.name(a.To)
		}
		return "send " + to + " " + s.message(a.Message)
	case vipa.Activate:
		return "activate " + s.name(a.DVIPA)
	case vipa.Deactivate:
		return "deactivate " + s.name(a.DVIPA)
	case vipa.Advertise:
		return fmt.Sprintf("advertise %s epoch=%d", s.prefix(a.Prefix), a.Epoch)
	case vipa.Withdraw:
		return "withdraw " + s.name(a.DVIPA)
	case vipa.SetTargets:
		return "targets " + s.socket(a.Service) + " " + s.targets(a.Targets)
	case vipa.SetUnique:
		return "unique " + s.socket(a.Service) + " " + s.name(a.Target)
	case vipa.AddConnections:
		line := "add " + s.name(a.Target) + " " + s.connections(a.Connections)
		if a.Acknowledge != 0 {
			line += fmt.Sprintf(" ack=%d", a.Acknowledge)
		}
		return line
	case vipa.EndConnections:
		return "end " + s.name(a.Target) + " " + s.connections(a.Connections)
	case vipa.DropTarget:
		return "drop " + s.name(a.Target)
	case vipa.SetWayOut:
		return "way-out " + s.name(a.Via)
	case vipa.CreateEntry:
		return "create-entry " + s.name(a.DVIPA)
	case vipa.MarkPorts:
		line := "mark " + s.name(a.DVIPA)
		if a.Served != nil {
			line += " for targets"
		}
		for _, ports := range []struct {
			word string
			all  []uint16
		}{{"chosen", a.Chosen}, {"named", a.Named}, {"served", slices.Sorted(maps.Keys(a.Served))}} {
			if len(ports.all) > 0 {
				line += " " + ports.word + "=" + strings.Trim(fmt.Sprint(ports.all), "[]")
			}
		}
		return line
	case vipa.ReleasePorts:
		line := "release " + s.name(a.DVIPA)
		for _, p := range a.Ports {
			line += fmt.Sprintf(" %d", p.Port)
			if p.Rest {
				line += " rest"
			}
		}
		return line
	case vipa.ReclaimPorts:
		return fmt.Sprintf("reclaim %s inc=%d", a.Member.Stack, a.Member.Incarnation)
	case vipa.FollowOwner:
		if a.Owner.Stack == "" {
			return "follow nobody for " + s.name(a.DVIPA)
		}
		return fmt.Sprintf("follow %s for %s epoch=%d", a.Owner.Stack, s.name(a.DVIPA), a.Epoch)
	case vipa.LetConnect:
		return fmt.Sprintf("let %d connect", a.ID)
	case vipa.RefuseConnect:
		return fmt.Sprintf("refuse %d to connect: %s", a.ID, a.Reason)
	case vipa.TakeOwnership:
		line := fmt.Sprintf("take %s after=%d", s.name(a.DVIPA), a.After)
		if a.Wait {
			line += " wait"
		}
		if a.Standby {
			line += " standby"
		}
		return line
	case vipa.LeaveOwnership:
		return "leave " + s.name(a.DVIPA)
	case vipa.EndOwnership:
		return fmt.Sprintf("end %s epoch=%d", s.name(a.DVIPA), a.Epoch)
	case vipa.Settle:
		return fmt.Sprintf("settle %s %s", s.name(a.DVIPA), map[bool]string{true: "on", false: "off"}[a.On])
	case vipa.LetBind:
		return "let bind " + s.name(a.DVIPA)
	case vipa.RefuseBind:
		return fmt.Sprintf("refuse bind %s: %s", s.name(a.DVIPA), a.Reason)
	case vipa.Varied:
		if a.Refused != "" {
			return "refused: " + a.Refused
		}
		return "varied"
	case vipa.Refuse:
		return "refuse " + a.From.Stack + ": " + a.Reason
	}
	return fmt.Sprintf("%#v", a)
}

func (s *script) message(m contract.Message) string {
	switch m := m.(type) {
	case contract.VIPAList:
		lines := []string{m.Kind()}
		if m.NoWayOut {
			lines[0] += " no-way-out"
		}
		for _, e := range m.DVIPAs {
			lines = append(lines, "  "+s.entry(e))
		}
		for _, source := range m.SourceIPAs {
			lines = append(lines, fmt.Sprintf("  sourceipa %s %s", s.name(source.Address), source.Application))
		}
		return strings.Join(lines, "\n")
	case contract.SRVSTAT:
		state := "ended"
		if m.Listening {
			state = "listening"
		}
		if m.Unique {
			state += " unique"
		}
		return fmt.Sprintf("%s %s at %s %s epoch=%d", m.Kind(), s.socket(m.Service), s.name(m.XCF), state, m.Epoch)
	case contract.NEWCONN:
		line := fmt.Sprintf("%s %s at %s epoch=%d %s", m.Kind(), s.name(m.DVIPA), s.name(m.XCF), m.Epoch, s.connections(m.Connections))
		if m.Acknowledge != 0 {
			line += fmt.Sprintf(" ack=%d", m.Acknowledge)
		}
		return line
	case contract.TERMCONN:
		return fmt.Sprintf("%s %s at %s epoch=%d %s", m.Kind(), s.name(m.DVIPA), s.name(m.XCF), m.Epoch, s.connections(m.Connections))
	}
	return m.Kind()
}

func (s *script) entry(e contract.DVIPA) string {
	words := []string{s.prefix(e.Prefix)}
	switch e.Role {
	case contract.RolePrimary:
		words = append(words, "primary")
	case contract.RoleBackup:
		words = append(words, fmt.Sprintf("backup rank=%d", e.Rank))
	case contract.RoleRange:
		words = append(words, "range")
	}
	if e.Owner {
		words = append(words, fmt.Sprintf("owner epoch=%d", e.Epoch))
	}
	if e.ClusterPorts {
		words = append(words, "clusterports")
	}
	return strings.Join(append(words, s.distribution(e.Distribution)), " ")
}

func (s *script) distribution(dist *contract.Distribution) string {
	if dist == nil {
		return "undistributed"
	}
	ports := "all"
	if len(dist.Ports) > 0 {
		var words []string
		for _, r := range dist.Ports {
			word := fmt.Sprint(r.First)
			if r.Last != r.First {
				word += fmt.Sprintf("-%d", r.Last)
			}
			words = append(words, word)
		}
		ports = strings.Join(words, ",")
	}
	to := "ALL"
	if !dist.All {
		to = s.targets(dist.Targets)
	}
	return "ports=" + ports + " to=" + to
}

// trace prints edges, one line for as long as they are of the same figure, and notes them.
func (s *script) trace(edges []vipa.Edge) string {
	var out strings.Builder
	figure := ""
	for _, e := range edges {
		s.passed[e] = true
		f, way, _ := strings.Cut(string(e), "/")
		if f != figure {
			if figure != "" {
				out.WriteString("\n")
			}
			out.WriteString(f + ":")
			figure = f
		}
		out.WriteString(" " + way)
	}
	if figure != "" {
		out.WriteString("\n")
	}
	return out.String()
}

func (s *script) show(stack *vipa.Stack, what string) string {
	var lines []string
	switch what {
	case "dvipas":
		for _, d := range stack.DVIPAs() {
			line := fmt.Sprintf("%s %s by %s", s.prefix(d.Prefix), d.Status, d.Origin)
			if d.Rank > 0 {
				line += fmt.Sprintf(" rank=%d", d.Rank)
			}
			if d.Kept {
				line += " kept"
			}
			if d.ClusterPorts {
				line += " clusterports"
			}
			lines = append(lines, fmt.Sprintf("%s owner=%s epoch=%d %s", line, d.Owner.Stack, d.Epoch, s.distribution(d.Distribution)))
		}
	case "dpt":
		for _, e := range stack.DPT() {
			lines = append(lines, s.socket(e.Service)+" "+s.targets(e.Targets))
		}
	case "unique":
		for _, e := range stack.Unique() {
			lines = append(lines, s.socket(e.Service)+" "+s.name(e.Target))
		}
	case "ports":
		for _, p := range stack.Ports() {
			line := fmt.Sprintf("%s %s sockets=%d listeners=%d", s.socket(p.Service), p.Use, p.Sockets, p.Listeners)
			if p.Routed {
				line += " routed"
			}
			if p.Outbound {
				line += " outbound"
			}
			if p.Rest {
				line += " rest"
			}
			lines = append(lines, line)
		}
	case "members":
		for _, m := range stack.Members() {
			lines = append(lines, fmt.Sprintf("%s %s inc=%d settled=%t", m.Member.Stack, s.name(m.Member.XCF), m.Member.Incarnation, m.Settled))
		}
		lines = append(lines, fmt.Sprintf("settled=%t started=%t", stack.Settled(), stack.Started()))
	}
	return strings.Join(append(lines, ""), "\n")
}
