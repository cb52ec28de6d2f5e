package requirements

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/certificate"
	"github.com/plexlab-dev/plexlab/harness/report"
)

var update = flag.Bool("update", false, "publish the requirements and the specs anew")

// Whoever verifies a certificate knows the requirements from a list of their own, so that one which is
// left out is found.
func TestTheRequirementsArePublished(t *testing.T) {
	compare(t, certificate.PublishedFile, certificate.Publish(Catalogue()))
}

// A spec that is left out is found in the same way. What specs there are the suites say themselves, in a dry run.
func TestTheSpecsArePublished(t *testing.T) {
	results := t.TempDir()
	suites, err := filepath.Glob(filepath.Join("..", "*", "*_suite_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-vet=off"}
	for _, suite := range suites {
		args = append(args, filepath.Dir(suite))
	}
	if err := report.Prepare(results); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", append(args, "-ginkgo.dry-run")...)
	command.Env = append(os.Environ(), "PLEXLAB_RESULTS="+results)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	specs, err := report.List(results)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, certificate.SpecsFile, certificate.PublishSpecs(specs))
}

func compare(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join("..", "..", "harness", "certificate", name)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s: -want +got (publish with -update):\n%s", path, diff)
	}
}
