// Package described holds an OpenAPI document, which vendors read, and the Go types of the same interface
// together.
package described

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

type description struct {
	Components struct {
		Schemas map[string]struct {
			Required   []string       `yaml:"required"`
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

// Check fails the test unless the document at path has for each body, a struct, a schema of its name
// with the same members, and as required exactly those that are always sent.
func Check(t *testing.T, path string, bodies ...any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read description
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		form := reflect.TypeOf(body)
		schema, ok := read.Components.Schemas[form.Name()]
		if !ok {
			t.Errorf("no schema for %s", form.Name())
			continue
		}
		var members, required, described []string
		for i := range form.NumField() {
			name, options, _ := strings.Cut(form.Field(i).Tag.Get("json"), ",")
			members = append(members, name)
			if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
				required = append(required, name)
			}
		}
		for name := range schema.Properties {
			described = append(described, name)
		}
		slices.Sort(members)
		slices.Sort(described)
		if diff := cmp.Diff(members, described); diff != "" {
			t.Errorf("%s: members of the type (-) and of the schema (+):\n%s", form.Name(), diff)
		}
		slices.Sort(required)
		slices.Sort(schema.Required)
		if diff := cmp.Diff(required, schema.Required); diff != "" {
			t.Errorf("%s: always sent (-) and required (+):\n%s", form.Name(), diff)
		}
	}
}
