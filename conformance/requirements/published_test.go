package requirements

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/certificate"
)

var update = flag.Bool("update", false, "publish the requirements anew")

// Whoever verifies a certificate knows the requirements from a list of their own, so that one which is
// left out is found.
func TestTheRequirementsArePublished(t *testing.T) {
	path := filepath.Join("..", "..", "harness", "certificate", certificate.PublishedFile)
	want := certificate.Publish(Catalogue())
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
