package vipa

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// quiet is what VARY QUIESCE holds back from new connections.
type quiet struct {
	stack        bool
	ports        map[netip.AddrPort]bool // with the zero Addr: of every DVIPA
	applications map[string]bool         // in upper case
}

func newQuiet() quiet {
	return quiet{ports: make(map[netip.AddrPort]bool), applications: make(map[string]bool)}
}

// holds says whether a listening socket is held back from connections to the DVIPA.
func (q quiet) holds(dvipa netip.Addr, l Listener) bool {
	return q.holdsPort(dvipa, l.Local.Port()) || q.applications[strings.ToUpper(l.Application)]
}

// holdsPort says whether a port of the DVIPA is held back, whoever listens on it.
func (q quiet) holdsPort(dvipa netip.Addr, port uint16) bool {
	return q.stack || q.ports[netip.AddrPortFrom(dvipa, port)] || q.ports[netip.AddrPortFrom(netip.Addr{}, port)]
}

// vary does what an operator asks for, or says why not.
func (s *Stack) vary(ev Vary) string {
	switch ev.Command {
	case VaryQuiesce, VaryResume:
		return s.varyQuiet(ev, ev.Command == VaryQuiesce)
	case VaryDeactivate, VaryReactivate:
		return s.varyDVIPA(ev, ev.Command == VaryDeactivate)
	case VaryLeaveGroup, VaryJoinGroup:
		return s.varyGroup(ev.Command == VaryLeaveGroup)
	}
	return fmt.Sprintf("command %d is unknown", ev.Command)
}

func (s *Stack) varyQuiet(ev Vary, hold bool) string {
	what, is := s.quietTarget(ev)
	switch {
	case ev.Port != 0 && ev.Application != "":
		return "a port or an application can be quiesced, not both at once"
	case hold && is:
		return what + " is quiesced already"
	case !hold && !is:
		return what + " is not quiesced"
	}
	if refused := s.nothingToQuiesce(ev); hold && refused != "" {
		return refused
	}
	switch {
	case ev.Port != 0:
		s.quiet.ports[netip.AddrPortFrom(ev.DVIPA, ev.Port)] = hold
	case ev.Application != "":
		s.quiet.applications[strings.ToUpper(ev.Application)] = hold
	default:
		s.quiet.stack = hold
	}
	s.requiet()
	return ""
}

// quietTarget names what a command concerns, and says whether that is quiesced.
func (s *Stack) quietTarget(ev Vary) (what string, is bool) {
	switch {
	case ev.Port != 0 && ev.DVIPA.IsValid():
		service := netip.AddrPortFrom(ev.DVIPA, ev.Port)
		return "port " + service.String(), s.quiet.ports[service]
	case ev.Port != 0:
		return fmt.Sprintf("port %d", ev.Port), s.quiet.ports[netip.AddrPortFrom(ev.DVIPA, ev.Port)]
	case ev.Application != "":
		return "application " + ev.Application, s.quiet.applications[strings.ToUpper(ev.Application)]
	}
	return "stack " + s.self.Stack, s.quiet.stack
}

// nothingToQuiesce says why a target cannot be quiesced, if that is because there is no such thing. A port counts for
// what listens on it later, so it need not be in use. An application without a listening socket is a slip of the pen, or
// gets no connections anyway; one that is quiesced remains so while it is started anew.
func (s *Stack) nothingToQuiesce(ev Vary) string {
	switch {
	case ev.Port != 0 && ev.DVIPA.IsValid() && s.dvipas[ev.DVIPA] == nil && rangeOf(s.definition.Ranges, ev.DVIPA) == nil:
		return fmt.Sprintf("%s is no DVIPA that this stack knows, nor in a VIPARange of it; %s", ev.DVIPA, thereIs(s.sortedDVIPAs()))
	case ev.Application != "" && !slices.Contains(s.applications(), strings.ToUpper(ev.Application)):
		return fmt.Sprintf("no application %s listens on this stack; %s", ev.Application, thereIs(s.applications()))
	}
	return ""
}

// applications are those that listen, in upper case and in order.
func (s *Stack) applications() []string {
	names := make(map[string]bool)
	for _, l := range s.listeners.byID {
		if l.Application != "" {
			names[strings.ToUpper(l.Application)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// thereIs lists what a person can choose from.
func thereIs[T any](all []T) string {
	if len(all) == 0 {
		return "there is none"
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = fmt.Sprint(one)
	}
	return "there is " + strings.Join(names, ", ")
}

func (s *Stack) varyDVIPA(ev Vary, deactivate bool) string {
	d := s.dvipas[ev.DVIPA]
	switch {
	case d == nil || d.defines().Role == 0:
		own := slices.DeleteFunc(s.sortedDVIPAs(), func(a netip.Addr) bool { return s.dvipas[a].defines().Role == 0 })
		return fmt.Sprintf("%s is no DVIPA that this stack defines or backs up; %s", ev.DVIPA, thereIs(own))
	case d.defines().Role == contract.RoleRange:
		return fmt.Sprintf("%s was activated by a bind in a VIPARange; it goes when its last socket is closed", ev.DVIPA)
	case deactivate && d.deactivated:
		return fmt.Sprintf("%s is deactivated already", ev.DVIPA)
	case !deactivate && !d.deactivated:
		return fmt.Sprintf("%s is not deactivated", ev.DVIPA)
	}
	d.deactivated, d.fresh = deactivate, !deactivate && d.define != nil
	s.due = true
	s.initialize(nil, nil)
	return ""
}

func (s *Stack) varyGroup(leave bool) string {
	switch {
	case leave && s.left:
		return "this stack has left the group already"
	case !leave && !s.left:
		return "this stack has not left the group"
	}
	s.left, s.due = leave, true
	for _, d := range s.dvipas {
		d.fresh = !leave && d.define != nil
	}
	// The targets of this stack leave distribution before it gives up what it owns.
	s.requiet()
	s.chooseWayOut()
	s.initialize(nil, nil)
	return ""
}

// heldBack says whether a listening socket gets no new connections to the DVIPA.
func (s *Stack) heldBack(d *dvipa, l Listener) bool { return s.left || s.quiet.holds(d.address, l) }

// requiet tells owners what takes part in distribution now.
func (s *Stack) requiet() {
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		s.recount(d)
		for _, number := range slices.Sorted(maps.Keys(d.ports)) {
			s.reroute(d, number)
		}
	}
}

// reroute ends the route of a unique port that is held back, or begins it again.
func (s *Stack) reroute(d *dvipa, number uint16) {
	p := d.port(number)
	if p == nil {
		return
	}
	switch back := s.portHeldBack(d, number); {
	case p.routed && back:
		p.routed, p.withheld = false, true
		s.announceUnique(d, number, false)
	case p.withheld && !back:
		p.routed, p.withheld = true, false
		s.announceUnique(d, number, true)
	}
}

// portHeldBack: no socket that has the port may get new connections. Whose socket it is shows when
// it listens.
func (s *Stack) portHeldBack(d *dvipa, number uint16) bool {
	if s.left || s.quiet.holdsPort(d.address, number) {
		return true
	}
	listening := s.listeners.byAddress[d.address][number]
	for _, l := range listening {
		if !s.heldBack(d, l) {
			return false
		}
	}
	return len(listening) > 0
}
