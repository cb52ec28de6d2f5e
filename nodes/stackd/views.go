package main

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// vipadcfg is the profile as it stands, a statement a row.
func (s *stack) vipadcfg() control.VIPADCFG {
	view := control.VIPADCFG{Statements: []string{}}
	for line := range strings.Lines(s.profile.Load().String()) {
		view.Statements = append(view.Statements, strings.TrimRight(line, "\n"))
	}
	return view
}

func (s *stack) vipadyn() (control.VIPADYN, error) {
	view := control.VIPADYN{DVIPAs: []control.DynamicVIPA{}}
	err := s.loop.look(viewLimit, func() {
		for _, d := range s.loop.core.DVIPAs() {
			view.DVIPAs = append(view.DVIPAs, control.DynamicVIPA{
				DVIPA:        d.Prefix.Addr(),
				PrefixLength: d.Prefix.Bits(),
				Status:       string(d.Status),
				Origin:       string(d.Origin),
				Rank:         int(d.Rank),
				Owner:        d.Owner.Stack,
				Epoch:        d.Epoch,
				Distributed:  d.Distribution != nil,
				ClusterPorts: d.ClusterPorts,
			})
		}
	})
	return view, err
}

func (s *stack) vdpt() (control.VDPT, error) {
	view := control.VDPT{Entries: []control.DPTEntry{}}
	err := s.loop.look(viewLimit, func() {
		names := stackNames(s.self, s.loop.core.Members())
		for _, e := range s.loop.core.DPT() {
			for _, t := range e.Targets {
				view.Entries = append(view.Entries, control.DPTEntry{
					DVIPA: e.Service.Addr(), Port: e.Service.Port(),
					Target: t.XCF, Stack: names[t.XCF], Weight: max(t.Weight, 1),
				})
			}
		}
	})
	return view, err
}

// vcrt shows what the kernel holds: its map is the CRT.
func (s *stack) vcrt(limit int) (control.VCRT, error) {
	view := control.VCRT{Entries: []control.CRTEntry{}}
	var names map[netip.Addr]string
	if err := s.loop.look(viewLimit, func() { names = stackNames(s.self, s.loop.core.Members()) }); err != nil {
		return view, err
	}
	entries, total, err := s.path.CRT(limit)
	if err != nil {
		return view, err
	}
	view.Total = total
	for _, e := range entries {
		view.Entries = append(view.Entries, control.CRTEntry{
			Source: e.Source, DVIPA: e.DVIPA, Target: e.Target, Stack: names[e.Target], Unique: e.Unique,
			ExpiresMS: e.Expires.Milliseconds(),
		})
	}
	return view, nil
}

func (s *stack) groupView() control.Group {
	view := control.Group{Plex: s.options.plex, Problem: s.group.Problem(), Members: []control.GroupMember{{
		Stack: s.self.Stack, XCF: s.self.XCF, Incarnation: s.self.Incarnation, Outside: s.self.Outside, Self: true,
	}}}
	for _, m := range s.group.Members() {
		view.Members = append(view.Members, control.GroupMember{
			Stack: m.Stack, XCF: m.XCF, Incarnation: m.Incarnation, Outside: m.Outside,
			HeardMS: m.Heard.Milliseconds(),
		})
	}
	slices.SortFunc(view.Members, func(a, b control.GroupMember) int { return a.XCF.Compare(b.XCF) })
	return view
}

// homeList shows the addresses of the stack; those that it owns towards the network are advertised.
func (s *stack) homeList() (control.Home, error) {
	view := control.Home{Addresses: []control.HomeAddress{}}
	addresses, err := s.home.List()
	if err != nil {
		return view, err
	}
	for _, a := range addresses {
		view.Addresses = append(view.Addresses, control.HomeAddress{
			Address: a.Prefix, Interface: a.Interface, Kind: string(a.Kind), Advertised: a.Advertised,
		})
	}
	return view, nil
}

// traceSince joins what events passed with what packets passed.
func (s *stack) traceSince(n uint64) (control.Trace, error) {
	view := s.trace.since(n)
	packets, err := s.path.Counters()
	if err != nil {
		return view, err
	}
	for edge, count := range packets {
		// Beside edges there are counts of drops and of interpretations ("I21").
		if strings.Contains(edge, "/") && count > 0 {
			view.Edges[edge] += count
		}
	}
	return view, nil
}

// ready: the sockets are open, the name is ours, and so are the DVIPAs. Settled is asked of the core.
func (s *stack) ready() (control.Ready, error) {
	view := control.Ready{
		Implementation: "reference", Version: version, Stack: s.self.Stack, Incarnation: s.self.Incarnation,
	}
	err := s.loop.look(viewLimit, func() {
		if !s.loop.core.Started() {
			view.Reason = "its DVIPAs are being taken"
		}
		view.Members = len(s.loop.core.Members()) + 1
		view.Settled = s.loop.core.Settled()
	})
	if problem := s.group.Problem(); problem != "" {
		view.Reason = problem
	} else if view.Reason == "" {
		view.Reason = s.portsPending()
	}
	view.Ready = view.Reason == ""
	return view, err
}

// portsPending says why ports cannot be given out yet after the start; nothing once they could be.
func (s *stack) portsPending() string {
	if s.portsServed.Load() {
		return ""
	}
	if s.facility.State() == cf.Filling {
		return "the coupling facility has just been made and does not give out ports yet"
	}
	s.portsServed.Store(true)
	return ""
}

// stackNames maps XCF addresses to names of stacks.
func stackNames(self contract.Member, members []vipa.MemberStatus) map[netip.Addr]string {
	names := map[netip.Addr]string{self.XCF: self.Stack}
	for _, m := range members {
		names[m.Member.XCF] = m.Member.Stack
	}
	return names
}
