package supervisor

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/topo"
)

var update = flag.Bool("update", false, "write the configurations in testdata anew")

// The configuration of a router is what testdata shows, and BIRD takes it.
func TestConfigurationOfRouters(t *testing.T) {
	t.Parallel()
	both := []topo.PlanLink{
		{Name: "ext0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.44.1/24")}},
		{Name: "ext1", MAC: "02:72:be:36:1a:89", Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:46::1/64")}},
	}
	for name, c := range map[string]struct {
		links       []topo.PlanLink
		advertising topo.Advertising
	}{
		"ospf":      {both, topo.Advertising{Method: topo.ByOSPF, HelloS: 1, DeadS: 3, BFDMS: 200}},
		"rip":       {both, topo.Advertising{Method: topo.ByRIP, HelloS: 2, DeadS: 7, BFDMS: 50}},
		"ospf-ipv6": {both[1:], topo.Advertising{Method: topo.ByOSPF, HelloS: 1, DeadS: 3, BFDMS: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			got := birdConfig(topo.PlanNode{Name: "ROUTER", Links: c.links}, c.advertising)
			golden := filepath.Join("testdata", name+".conf")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
			if _, err := exec.LookPath("bird"); err != nil {
				t.Skip("bird is not installed: make setup")
			}
			if said, err := exec.Command("bird", "-p", "-c", golden).CombinedOutput(); err != nil {
				t.Errorf("bird -p: %v: %s", err, said)
			}
		})
	}
}
