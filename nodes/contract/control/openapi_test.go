package control_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

type description struct {
	Paths      map[string]map[string]any `yaml:"paths"`
	Components struct {
		Schemas map[string]struct {
			Required   []string       `yaml:"required"`
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

func readDescription(t *testing.T) description {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var read description
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// TestDescriptionMatchesTypes holds the document that vendors read and the types that the
// suite decodes into together: the same members, and as required exactly those that are
// always sent.
func TestDescriptionMatchesTypes(t *testing.T) {
	schemas := readDescription(t).Components.Schemas
	bodies := []any{
		control.Ready{}, control.Home{}, control.HomeAddress{}, control.VIPADCFG{}, control.VIPADYN{},
		control.DynamicVIPA{}, control.VDPT{}, control.DPTEntry{}, control.VCRT{}, control.CRTEntry{},
		control.Group{}, control.GroupMember{}, control.Trace{}, control.TraceStep{}, control.Problem{}, control.TextError{},
		control.Ports{}, control.DVIPAPorts{}, control.ClusterPort{}, control.PortFinding{},
		control.ObeyRequest{}, control.ObeyAnswer{}, control.ObeyEffect{},
	}
	for _, body := range bodies {
		form := reflect.TypeOf(body)
		schema, ok := schemas[form.Name()]
		if !ok {
			t.Errorf("no schema for %s", form.Name())
			continue
		}
		var members, required, described []string
		for i := range form.NumField() {
			name, options, _ := strings.Cut(form.Field(i).Tag.Get("json"), ",")
			members = append(members, name)
			if !strings.Contains(options, "omitempty") {
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
