package routing

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the configurations in testdata anew")

// The configuration is what testdata shows, and BIRD takes it.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	owned := map[netip.Addr]ownership{
		dva4.Addr(): {prefix: dva4, epoch: 1},
		dva6.Addr(): {prefix: dva6, epoch: 2},
	}
	for _, p := range []Protocol{OSPF, RIP} {
		t.Run(string(p), func(t *testing.T) {
			c, err := Config{Protocol: p, Interfaces: []string{"ext0", "ext1"}, RouterID: routerID(1), Dir: t.TempDir()}.check()
			check(t, err)
			d := &Daemon{config: c, v4: true, v6: true}
			got := d.render(owned)
			golden := filepath.Join("testdata", string(p)+".conf")
			if *update {
				check(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			check(t, err)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
			requireBIRD(t)
			check(t, d.write(got))
			if said, err := exec.Command("bird", "-p", "-c", c.configPath()).CombinedOutput(); err != nil {
				t.Errorf("bird -p: %v: %s", err, said)
			}
		})
	}
}
