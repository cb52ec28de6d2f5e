package topo

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	reflector "github.com/invopop/jsonschema"
)

var update = flag.Bool("update", false, "write golden files anew")

// generateSchema makes the schema from the types and their comments.
func generateSchema(t *testing.T) []byte {
	t.Helper()
	r := &reflector.Reflector{FieldNameTag: "yaml", ExpandedStruct: true, Anonymous: true}
	if err := r.AddGoComments("github.com/plexlab-dev/plexlab/topo", "./"); err != nil {
		t.Fatal(err)
	}
	schema := r.Reflect(&Topology{})
	schema.ID, schema.Title = schemaURL, "plexlab topology"
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func TestSchemaIsCurrent(t *testing.T) {
	golden(t, "topology.schema.json", generateSchema(t))
}

// golden compares with a file, or writes it when -update is given.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not current, go test -update writes it anew (-want +got):\n%s", file, diff)
	}
}

// fixtureFiles are the topologies of fixtures.
func fixtureFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../fixtures/topologies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return files
}

// The schema as an editor uses it, on what another YAML reader makes of the files.
func TestSchemaAcceptsFixtures(t *testing.T) {
	schema, _ := compiledSchema()
	for _, file := range fixtureFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := yaml.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if found := schema.Validate(value); !found.IsValid() {
			t.Errorf("%s: %v", file, found.DetailedErrors())
		}
	}
}

func TestSchemaRejects(t *testing.T) {
	schema, _ := compiledSchema()
	for _, text := range []string{
		"[]", "{}", "{plex: A, networks: [], stacks: [], colour: red}", "{plex: 1, networks: [], stacks: []}",
		"{plex: A, networks: [{name: x}], stacks: []}", "{plex: A, networks: [], stacks: [], timers: {hello_ms: fast}}",
	} {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value).IsValid() {
			t.Errorf("accepts %s", text)
		}
	}
}
