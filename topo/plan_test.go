package topo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Every fixture's plan, as text, as JSON, and its picture, are as the golden files say.
func TestPlansOfFixtures(t *testing.T) {
	for _, file := range fixtureFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			topology, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := topology.Plan()
			if err != nil {
				t.Fatal(err)
			}
			picture, err := topology.Picture()
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := json.MarshalIndent(plan, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			var printed bytes.Buffer
			if err := plan.Fprint(&printed); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".plan.txt"), printed.Bytes())
			golden(t, filepath.Join("testdata", name+".plan.json"), append(encoded, '\n'))
			golden(t, filepath.Join("testdata", name+".picture.txt"), []byte(picture))

			var decoded Plan
			if err := json.Unmarshal(encoded, &decoded); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plan, decoded, comparePlans); diff != "" {
				t.Errorf("through JSON (-want +got):\n%s", diff)
			}
		})
	}
}

var comparePlans = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

// Plans of every size hold what a lab relies on.
func TestGeneratedPlans(t *testing.T) {
	for _, size := range []struct{ stacks, outside int }{{1, 0}, {1, 1}, {5, 2}, {32, 1}, {128, 2}, {128, 128}} {
		t.Run(fmt.Sprintf("%d stacks, %d outside", size.stacks, size.outside), func(t *testing.T) {
			web := Application{Name: "WEB", On: []string{"MVS1"}, Command: []string{"web", `{{ .Address "dva1" }}`, "{{.Stack}}", "{{ .Dir }}/x"}}
			topology := Generate(Shape{Stacks: size.stacks, Outside: size.outside, Ports: "80", Sources: 201, Applications: []Application{web}})
			plan, err := topology.Plan()
			if err != nil {
				t.Fatal(err)
			}
			if again, _ := topology.Plan(); plan.String() != again.String() {
				t.Error("a second plan is another")
			}
			if _, err := topology.Picture(); err != nil {
				t.Error(err)
			}
			checkUnique(t, plan)
			stacks, outside := 0, 0
			for _, n := range plan.Nodes {
				if n.Kind == KindStack {
					stacks++
					outside += len(n.Stack.Outside)
				}
			}
			if stacks != size.stacks || outside != max(1, size.outside) {
				t.Errorf("%d stacks, %d outside", stacks, outside)
			}
			client := plan.Nodes[len(plan.Nodes)-1]
			if got := len(client.Links[0].Addresses); got != 201 {
				t.Errorf("CLIENT has %d addresses, want 201", got)
			}
			want := []PlanApplication{{Name: "WEB", Command: []string{"web", "192.168.44.10", "MVS1", "{{.Dir}}/x"}}}
			if diff := cmp.Diff(want, plan.Nodes[1].Applications); diff != "" {
				t.Errorf("applications of MVS1 (-want +got):\n%s", diff)
			}
		})
	}
}

// checkUnique: names that the kernel limits are short, and nothing is given out twice.
func checkUnique(t *testing.T, plan Plan) {
	t.Helper()
	seen := map[string]bool{}
	once := func(what, name string) {
		if seen[what+name] {
			t.Errorf("%s %s is given out twice", what, name)
		}
		seen[what+name] = true
	}
	for _, n := range plan.Networks {
		once("interface of the hub", n.Bridge)
		if len(n.Bridge) > 15 {
			t.Errorf("bridge %s is longer than 15 bytes", n.Bridge)
		}
	}
	for _, n := range plan.Nodes {
		once("node", n.Name)
		for _, l := range n.Links {
			once("interface of the hub", l.Port)
			once("MAC", l.MAC)
			if len(l.Port) > 15 || len(l.Name) > 15 {
				t.Errorf("interface %s or %s is longer than 15 bytes", l.Name, l.Port)
			}
			for _, a := range l.Addresses {
				once("address", a.Addr().String())
			}
		}
	}
}

func TestGeneratedPlanErrors(t *testing.T) {
	for shape, want := range map[*Shape]string{
		{}:                          "topology /stacks: found no stack, expected one at least",
		{Stacks: 129}:               "topology /stacks: found 129 stacks, expected at most 128",
		{Stacks: 1, Ports: "70000"}: `topology /stacks/0/profile:3:28: found "70000", expected ports from 1 to 65535`,
		{Stacks: 1, Sources: 300}:   `topology /hosts/0/links/0/more/0: found "192.168.46.318", expected an address or a symbol`,
	} {
		plan, err := Generate(*shape).Plan()
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
		if diff := cmp.Diff(Plan{}, plan, comparePlans); diff != "" {
			t.Errorf("a plan beside the error:\n%s", diff)
		}
	}
}

// Routers reach every outside network by the fewest hops, the first in the file on a tie.
func TestRoutes(t *testing.T) {
	topology := Generate(Shape{Stacks: 2, Outside: 1})
	topology.Networks = append(topology.Networks,
		Network{Name: "net47", Subnet: "192.168.47.0/24"}, Network{Name: "net48", Subnet: "192.168.48.0/24"},
		Network{Name: "v6", Subnet: "2001:db8:49::/64"}, Network{Name: "v6b", Subnet: "2001:db8:50::/64"})
	link := func(network, address string) Link { return Link{Network: network, Address: address} }
	topology.Routers = append(topology.Routers,
		Router{Name: "R2", Links: []Link{link("net46", "192.168.46.2"), link("net47", "192.168.47.2"), link("v6", "2001:db8:49::2")}},
		Router{Name: "R3", Links: []Link{link("net46", "192.168.46.3"), link("net47", "192.168.47.3")}},
		Router{Name: "R4", Links: []Link{link("net47", "192.168.47.4"), link("net48", "192.168.48.4"), link("v6", "2001:db8:49::4"), link("v6b", "2001:db8:50::4")}},
	)
	topology.Hosts = append(topology.Hosts,
		Host{Name: "FAR", Links: []HostLink{{Network: "net48", Address: "192.168.48.10"}, {Network: "v6b", Address: "2001:db8:50::10"}}},
		Host{Name: "PEER", Links: []HostLink{{Network: "xcf", Address: "10.1.0.99"}}})
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range plan.Nodes {
		for _, r := range n.Routes {
			got[n.Name] += fmt.Sprintf("%s via %s; ", r.Destination, r.Via)
		}
	}
	want := map[string]string{
		"ROUTER": "192.168.47.0/24 via 192.168.46.2; 192.168.48.0/24 via 192.168.46.2; ",
		"R2":     "192.168.44.0/24 via 192.168.46.1; 192.168.48.0/24 via 192.168.47.4; 2001:db8:50::/64 via 2001:db8:49::4; ",
		"R3":     "192.168.44.0/24 via 192.168.46.1; 192.168.48.0/24 via 192.168.47.4; ",
		"R4":     "192.168.44.0/24 via 192.168.47.2; 192.168.46.0/24 via 192.168.47.2; ",
		"MVS1":   "0.0.0.0/0 via 192.168.44.1; ",
		"CLIENT": "0.0.0.0/0 via 192.168.46.1; ",
		"FAR":    "0.0.0.0/0 via 192.168.48.4; ::/0 via 2001:db8:50::4; ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// Round a ring of four routers the shorter way is taken, both ways round.
func TestRoutesRoundARing(t *testing.T) {
	topology := Generate(Shape{Stacks: 1})
	for i, name := range []string{"ab", "bc", "cd", "da"} {
		topology.Networks = append(topology.Networks, Network{Name: name, Subnet: fmt.Sprintf("10.8.%d.0/24", i)})
	}
	for i, name := range []string{"A", "B", "C", "D"} {
		before, after := topology.Networks[3+(i+3)%4], topology.Networks[3+i]
		topology.Routers = append(topology.Routers, Router{Name: name, Links: []Link{
			{after.Name, fmt.Sprintf("10.8.%d.1", i)}, {before.Name, fmt.Sprintf("10.8.%d.2", (i+3)%4)},
		}})
	}
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range plan.Nodes[1:5] {
		for _, r := range n.Routes {
			got = append(got, fmt.Sprintf("%s: %s via %s", n.Name, r.Destination, r.Via))
		}
	}
	want := []string{
		"A: 10.8.1.0/24 via 10.8.0.2", "A: 10.8.2.0/24 via 10.8.3.1",
		"B: 10.8.2.0/24 via 10.8.1.2", "B: 10.8.3.0/24 via 10.8.0.1",
		"C: 10.8.0.0/24 via 10.8.1.1", "C: 10.8.3.0/24 via 10.8.2.2",
		"D: 10.8.0.0/24 via 10.8.3.2", "D: 10.8.1.0/24 via 10.8.2.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestManyAddresses(t *testing.T) {
	topology := Generate(Shape{Stacks: 1})
	topology.Networks = append(topology.Networks, Network{Name: "wide", Subnet: "10.8.0.0/16"})
	link := HostLink{Network: "wide", Address: "10.8.0.1", More: []string{"10.8.1.0-10.8.16.254"}}
	topology.Hosts = append(topology.Hosts, Host{Name: "MANY", Links: []HostLink{link}})
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(plan.Nodes[3].Links[0].Addresses); got != maxAddresses {
		t.Errorf("%d addresses, want %d", got, maxAddresses)
	}
	for more, want := range map[string]string{
		"10.8.1.0-10.8.16.255": "topology /hosts/1/links/0/more/0: found more than 4096 addresses, expected at most that many",
		"10.8.1.0-2001:db8::":  "topology /hosts/1/links/0/more/0: found the range 10.8.1.0-2001:db8::, expected its first address not above its last",
	} {
		link.More[0] = more
		if _, err := topology.Plan(); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// TestDefaultTimers: what the stacks of a plex hear of each other stays bearable at any size.
func TestDefaultTimers(t *testing.T) {
	for _, c := range []struct {
		stacks int
		given  Timers
		want   Timers
	}{
		{1, Timers{}, Timers{HelloMS: 40, DeadMS: 120}},
		{22, Timers{}, Timers{HelloMS: 40, DeadMS: 120}},
		{64, Timers{}, Timers{HelloMS: 170, DeadMS: 510}},
		{128, Timers{}, Timers{HelloMS: 682, DeadMS: 2046}},
		{128, Timers{HelloMS: 50, DeadMS: 200}, Timers{HelloMS: 50, DeadMS: 200}},
		{2, Timers{HelloMS: 400}, Timers{HelloMS: 400, DeadMS: 1200}},
	} {
		topology := Generate(Shape{Stacks: c.stacks})
		topology.Timers = c.given
		plan, err := topology.Plan()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, plan.Timers); diff != "" {
			t.Errorf("%d stacks, given %+v (-want +got):\n%s", c.stacks, c.given, diff)
		}
	}
}

func TestClusterPorts(t *testing.T) {
	none := 0
	for _, c := range []struct {
		given ClusterPorts
		want  PlanClusterPorts
	}{
		{ClusterPorts{}, PlanClusterPorts{First: 32768, Last: 60999, RestMS: 60000, Sharing: "port-file"}},
		{ClusterPorts{First: 1, Last: 1, RestS: &none}, PlanClusterPorts{First: 1, Last: 1, Sharing: "port-file"}},
		{ClusterPorts{First: 5000, Sharing: "distributor"}, PlanClusterPorts{First: 5000, Last: 60999, RestMS: 60000, Sharing: "distributor"}},
	} {
		topology := Generate(Shape{Stacks: 2})
		topology.ClusterPorts = c.given
		plan, err := topology.Plan()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, plan.ClusterPorts); diff != "" {
			t.Errorf("given %+v (-want +got):\n%s", c.given, diff)
		}
	}
	topology := Generate(Shape{Stacks: 2})
	topology.ClusterPorts.Sharing = "gossip"
	want := `topology /cluster_ports/sharing: found "gossip", expected port-file or distributor`
	if _, err := topology.Plan(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		given, want Selection
		printed     string
	}{
		{Selection{}, Selection{}, ""},
		{Selection{Method: ByRoundRobin}, Selection{}, ""},
		{Selection{Method: ByWLM}, Selection{Method: ByWLM, IntervalMS: 1000}, "by the load of the systems, reported every 1000 ms\n"},
		{Selection{Method: ByAgent, Agent: "/run/agent", IntervalMS: 100}, Selection{Method: ByAgent, Agent: "/run/agent", IntervalMS: 100},
			"by the policy agent at /run/agent, asked every 100 ms\n"},
	} {
		topology := Generate(Shape{Stacks: 2})
		topology.Selection = c.given
		plan, err := topology.Plan()
		if err != nil {
			t.Fatal(err)
		}
		if plan.Selection != c.want || !strings.Contains(plan.String(), c.printed) {
			t.Errorf("given %+v: got %+v, want %+v; printed\n%s", c.given, plan.Selection, c.want, plan)
		}
	}
	topology := Generate(Shape{Stacks: 2})
	topology.Selection.Method = "random"
	want := `topology /selection/method: found "random", expected roundrobin, wlm or agent`
	if _, err := topology.Plan(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTimersAndFaults(t *testing.T) {
	topology := Generate(Shape{Stacks: 2})
	topology.Timers = Timers{HelloMS: 20}
	topology.Faults = []PlanFault{
		{AfterMS: 500, Verb: "heal", Args: []string{"xcf"}},
		{AfterMS: 100, Verb: "partition", Args: []string{"xcf", "MVS1", "MVS2"}},
		{AfterMS: 100, Verb: "link-down", Args: []string{"MVS1", "ext0"}},
	}
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Timers{HelloMS: 20, DeadMS: 60}, plan.Timers); diff != "" {
		t.Errorf("timers (-want +got):\n%s", diff)
	}
	want := []PlanFault{topology.Faults[1], topology.Faults[2], topology.Faults[0]}
	if diff := cmp.Diff(want, plan.Faults); diff != "" {
		t.Errorf("faults are not in the order of time (-want +got):\n%s", diff)
	}
}

// A plex of IPv6 networks is planned like any other, and pictured.
func TestIPv6(t *testing.T) {
	topology := &Topology{
		Plex:    "SIX",
		Symbols: map[string]string{"DVA1": "2001:db8:44::10", "XCF1": "2001:db8:1::1"},
		Networks: []Network{
			{Name: "xcf", Subnet: "2001:db8:1::/64", XCF: true}, {Name: "lan", Subnet: "2001:db8:44::/64"},
			{Name: "old", Subnet: "10.0.0.0/24"},
		},
		Routers: []Router{{Name: "R", Links: []Link{{"lan", "2001:db8:44::1"}, {"old", "10.0.0.1"}}}},
		Stacks: []Stack{{
			Name: "MVS1", XCF: "xcf1", Links: []Link{{"lan", "2001:db8:44::101"}, {"old", "10.0.0.101"}}, Implementation: "other",
			Profile: "VIPADYN VIPADEF /64 DVA1 VIPAB 1 2001:db8:44::7 VIPAR /112 2001:db8:44::1:0 VIPADIST DVA1 DESTIP XCF1 ENDVIPADYN",
		}},
		Hosts: []Host{{Name: "CLIENT", Links: []HostLink{
			{Network: "old", Address: "10.0.0.10"}, {Network: "xcf", Address: "2001:db8:1::ff"},
			{Network: "lan", Address: "2001:db8:44::20", More: []string{"2001:db8:44::ff-2001:db8:44::101:0"}},
		}}},
		Faults: []PlanFault{{AfterMS: 10, Verb: "kill", Args: []string{"MVS1"}}},
	}
	_, err := topology.Plan()
	want := "topology /hosts/0/links/2/more/0: found 2001:db8:44::101, which MVS1 on lan has already"
	if err == nil || err.Error() != want {
		t.Fatalf("got %v\nwant %s", err, want)
	}
	topology.Hosts[0].Links[2].More = []string{"2001:db8:44::ff-2001:db8:44::100", "DVA1"}
	want = "topology /stacks/0/profile:1:21: found the DVIPA 2001:db8:44::10, which CLIENT on lan has as a real address"
	if _, err := topology.Plan(); err == nil || err.Error() != want {
		t.Fatalf("got %v\nwant %s", err, want)
	}
	topology.Hosts[0].Links[2].More = []string{"2001:db8:44::ff-2001:db8:44::100"}
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	picture, err := topology.Picture()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "ipv6.plan.txt"), []byte(plan.String()+"\n"+picture))

	// What no stack could forward to another is refused where it stands.
	topology.Stacks[0].Profile = "VIPADYN VIPAB 1 10.0.0.7 VIPAR /28 10.0.0.32 ENDVIPADYN"
	want = "topology /stacks/0/profile:1:17: found the DVIPA 10.0.0.7, expected one of IPv6: the XCF network 2001:db8:1::/64 carries no IPv4 from stack to stack\n" +
		"topology /stacks/0/profile:1:36: found the range 10.0.0.32/28, expected one of IPv6: the XCF network 2001:db8:1::/64 carries no IPv4 from stack to stack"
	if _, err := topology.Plan(); err == nil || err.Error() != want {
		t.Fatalf("got %v\nwant %s", err, want)
	}
}

// An XCF network of IPv4 carries DVIPAs of both families.
func TestBothFamilies(t *testing.T) {
	topology := &Topology{
		Plex: "BOTH",
		Networks: []Network{
			{Name: "xcf", Subnet: "10.1.0.0/24", XCF: true},
			{Name: "four", Subnet: "192.168.44.0/24"}, {Name: "six", Subnet: "2001:db8:44::/64"},
		},
		Stacks: []Stack{{
			Name: "MVS1", XCF: "10.1.0.1", Links: []Link{{"four", "192.168.44.101"}, {"six", "2001:db8:44::101"}},
			Profile: "VIPADYN VIPADEF /24 192.168.44.10 VIPADEF /64 2001:db8:44::10 VIPADIST 2001:db8:44::10 DESTIP 10.1.0.1 ENDVIPADYN",
		}},
	}
	if _, err := topology.Plan(); err != nil {
		t.Fatal(err)
	}
}
