package topo

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:generate go test -run ^TestSchemaIsCurrent$ -update

// Schema is the JSON Schema of topology files, for editors. It is made from the types of this
// package, says which keys there are and what kind of value each has, and is what Parse holds
// a file against first.
//
//go:embed topology.schema.json
var Schema []byte

// schemaURL is the name of the schema.
const schemaURL = "https://github.com/plexlab-dev/plexlab/topo/topology.schema.json"

// compiledSchema is Schema ready for use, and as plain data.
var compiledSchema = sync.OnceValues(func() (*jsonschema.Schema, map[string]any) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema)))
	if err != nil {
		panic(fmt.Sprintf("topology.schema.json: %v", err)) // a test keeps it right
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, document); err != nil {
		panic(fmt.Sprintf("topology.schema.json: %v", err))
	}
	return c.MustCompile(schemaURL), document.(map[string]any)
})

// checkShape reports unknown and missing keys and values of the wrong kind.
func checkShape(s *source) error {
	schema, _ := compiledSchema()
	err := schema.Validate(s.value)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return s.shapeErrors(invalid).Err()
	}
	return err
}

// shapeErrors puts the findings of the schema into words and places.
func (s *source) shapeErrors(e *jsonschema.ValidationError) Errors {
	var errs Errors
	p := path("")
	for _, step := range e.InstanceLocation {
		p = p.at(step)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		errs.Add(s.place(p), "found %s, expected %s%s", kindNames[k.Got], kindNames[k.Want[0]], forKey(p))
	case *kind.Required:
		for _, key := range k.Missing {
			errs.Add(s.place(p), "found no %q%s, expected one", key, forKey(p))
		}
	case *kind.Enum:
		errs.Add(s.place(p), "found %.40q, expected one of %s", fmt.Sprint(k.Got), strings.Trim(fmt.Sprint(k.Want), "[]"))
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			errs.Add(s.keys[p.at(key)], "found the key %q, expected one of %s", key, strings.Join(keysAt(e.SchemaURL), ", "))
		}
	default:
		if len(e.Causes) == 0 {
			errs.Add(s.place(p), "%s", k.LocalizedString(message.NewPrinter(language.English)))
		}
	}
	for _, cause := range e.Causes {
		for _, one := range s.shapeErrors(cause) {
			errs.Add(one.Pos, "%s", one.Message)
		}
	}
	return errs
}

// kindNames are the kinds of value in words.
var kindNames = map[string]string{
	"null": "nothing", "boolean": "true or false", "number": "a number", "integer": "a whole number",
	"string": "text", "array": "a list", "object": "keys with values",
}

// forKey names the key that a path ends with.
func forKey(p path) string {
	key := strings.TrimPrefix(string(p[len(p.parent()):]), "/")
	if key == "" || strings.Trim(key, "0123456789") == "" {
		return ""
	}
	return " for " + key
}

// keysAt lists the keys that a schema of this file allows.
func keysAt(location string) []string {
	_, document := compiledSchema()
	at := document
	_, fragment, _ := strings.Cut(location, "#")
	fragment, _ = url.PathUnescape(fragment)
	for step := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if next, ok := at[step].(map[string]any); ok {
			at = next
		}
	}
	properties, _ := at["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}
