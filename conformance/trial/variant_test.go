package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// What is not declared has its share in a certificate by what specs need, whatever ends them first.
func TestASpecTellsAllThatItNeeds(t *testing.T) {
	if os.Getenv(inside) != "" {
		DescribeFamilies("a lab", func(f Family) {
			ginkgo.It("starts", Needing(impl.Outbound), func() { f.Unit(UnitConfig{}) })
		})
		Suite(t, "needs", impl.ClusterPorts)
		return
	}
	dir := t.TempDir()
	manifest := filepath.Join(dir, "manifest.yaml")
	if err := os.WriteFile(manifest, []byte("name: small\nversion: '1'\nstart: ['true']\ncapabilities: [core]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0], "-test.run=^TestASpecTellsAllThatItNeeds$")
	command.Env = append(os.Environ(), inside+"=yes", "PLEXLAB_IMPLEMENTATION="+manifest, "PLEXLAB_RESULTS="+dir)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	specs, err := report.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	needs := map[string][]string{}
	for _, s := range specs {
		if s.Verdict != verdict.Unimplemented {
			t.Errorf("%s: %s", s.Name, s.Verdict)
		}
		needs[s.Name] = s.Needs
	}
	want := map[string][]string{
		"a lab with IPv4 starts": {"clusterports", "outbound"}, "a lab with IPv6 starts": {"clusterports", "ipv6", "outbound"},
	}
	if diff := cmp.Diff(want, needs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
