package vipa_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// A port can be quiesced of one DVIPA, or of every one; a listener on every address counts for the others.
func TestQuiesceAPortOfOneDVIPA(t *testing.T) {
	self := contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1, Outside: true}
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	core := vipa.New(vipa.Config{Self: self, XCFNetwork: netip.MustParsePrefix("10.1.0.0/24")})
	core.Step(vipa.Gathered{})
	ports := contract.Distribution{All: true, Ports: []contract.PortRange{{First: 60, Last: 61}}}
	core.Step(vipa.ProfileChanged{Definition: vipa.Definition{
		Defines:     []vipa.Define{{Prefix: netip.PrefixFrom(one, 24)}, {Prefix: netip.PrefixFrom(two, 24)}},
		Distributes: []vipa.Distribute{{DVIPA: one, Distribution: ports}, {DVIPA: two, Distribution: ports}},
	}})
	core.Step(vipa.OwnershipTaken{Taken: []vipa.Ownership{{DVIPA: one, Epoch: 1}, {DVIPA: two, Epoch: 1}}})
	for id, port := range map[uint64]uint16{1: 60, 2: 61} {
		core.Step(vipa.ListenStarted{Listener: vipa.Listener{ID: id, Local: netip.AddrPortFrom(netip.IPv4Unspecified(), port)}})
	}
	service := netip.AddrPortFrom
	for _, step := range []struct {
		vary    vipa.Vary
		refused string
		want    []netip.AddrPort
	}{
		{vipa.Vary{Command: vipa.VaryQuiesce, Port: 60, DVIPA: one}, "", []netip.AddrPort{service(one, 61), service(two, 60), service(two, 61)}},
		{vipa.Vary{Command: vipa.VaryQuiesce, Port: 60, DVIPA: one}, "port 192.0.2.1:60 is quiesced already", []netip.AddrPort{service(one, 61), service(two, 60), service(two, 61)}},
		{vipa.Vary{Command: vipa.VaryResume, Port: 60}, "port 60 is not quiesced", []netip.AddrPort{service(one, 61), service(two, 60), service(two, 61)}},
		{vipa.Vary{Command: vipa.VaryQuiesce, Port: 60}, "", []netip.AddrPort{service(one, 61), service(two, 61)}},
		{vipa.Vary{Command: vipa.VaryResume, Port: 60}, "", []netip.AddrPort{service(one, 61), service(two, 60), service(two, 61)}},
		{vipa.Vary{Command: vipa.VaryResume, Port: 60, DVIPA: one}, "", []netip.AddrPort{service(one, 60), service(one, 61), service(two, 60), service(two, 61)}},
	} {
		step.vary.ID = 7
		var answer vipa.Action
		for _, a := range core.Step(step.vary).Actions {
			if varied, ok := a.(vipa.Varied); ok {
				answer = varied
			}
		}
		if diff := cmp.Diff(vipa.Action(vipa.Varied{ID: 7, Refused: step.refused}), answer); diff != "" {
			t.Errorf("%+v: want (-) got (+):\n%s", step.vary, diff)
		}
		var got []netip.AddrPort
		for _, e := range core.DPT() {
			got = append(got, e.Service)
		}
		if diff := cmp.Diff(step.want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("%+v: services, want (-) got (+):\n%s", step.vary, diff)
		}
	}
}

// What there is not cannot be quiesced, or given up: the answer says what there is.
func TestVaryOfWhatIsNot(t *testing.T) {
	self := contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1, Outside: true}
	dvipa, ranged, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.65"), netip.MustParseAddr("192.0.2.99")
	core := vipa.New(vipa.Config{Self: self, XCFNetwork: netip.MustParsePrefix("10.1.0.0/24")})
	vary := func(ev vipa.Vary, want string) {
		t.Helper()
		for _, a := range core.Step(ev).Actions {
			if done, ok := a.(vipa.Varied); ok && done.Refused != want {
				t.Errorf("%+v: refused %q, want %q", ev, done.Refused, want)
			}
		}
	}
	vary(vipa.Vary{Command: vipa.VaryQuiesce, Application: "WEB"}, "no application WEB listens on this stack; there is none")
	vary(vipa.Vary{Command: vipa.VaryDeactivate, DVIPA: other}, "192.0.2.99 is no DVIPA that this stack defines or backs up; there is none")
	core.Step(vipa.ProfileChanged{Definition: vipa.Definition{
		Defines: []vipa.Define{{Prefix: netip.PrefixFrom(dvipa, 24)}}, Ranges: []vipa.Range{{Prefix: netip.MustParsePrefix("192.0.2.64/28")}},
	}})
	for id, name := range map[uint64]string{1: "WEB", 2: "ftp", 3: ""} {
		core.Step(vipa.ListenStarted{Listener: vipa.Listener{ID: id, Local: netip.AddrPortFrom(dvipa, uint16(id)), Application: name}})
	}
	vary(vipa.Vary{Command: vipa.VaryQuiesce, Application: "NOAPP"}, "no application NOAPP listens on this stack; there is FTP, WEB")
	vary(vipa.Vary{Command: vipa.VaryQuiesce, DVIPA: other, Port: 60}, "192.0.2.99 is no DVIPA that this stack knows, nor in a VIPARange of it; there is 192.0.2.1")
	vary(vipa.Vary{Command: vipa.VaryDeactivate, DVIPA: other}, "192.0.2.99 is no DVIPA that this stack defines or backs up; there is 192.0.2.1")

	// A port counts for what listens on it later, an application while it is started anew.
	vary(vipa.Vary{Command: vipa.VaryQuiesce, Port: 60}, "")
	vary(vipa.Vary{Command: vipa.VaryQuiesce, DVIPA: ranged, Port: 60}, "")
	vary(vipa.Vary{Command: vipa.VaryQuiesce, Application: "web"}, "")
	core.Step(vipa.ListenEnded{ID: 1})
	vary(vipa.Vary{Command: vipa.VaryQuiesce, Application: "WEB"}, "application WEB is quiesced already")
	vary(vipa.Vary{Command: vipa.VaryResume, Application: "WEB"}, "")
}
