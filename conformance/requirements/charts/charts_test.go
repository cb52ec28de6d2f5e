package charts

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/report/chart"
)

var update = flag.Bool("update", false, "lay out the flowcharts anew")

func TestTheLayoutsAreCurrent(t *testing.T) {
	layouts, err := All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false) // ids hold ->
	if err := encoder.Encode(layouts); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "..", "harness", "report", "chart", chart.File)
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s: -want +got (lay out anew with go generate):\n%s", path, diff)
	}
}
