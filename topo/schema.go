package topo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kaptinlin/jsonschema"
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
var compiledSchema = sync.OnceValues(func() (*jsonschema.Schema, rule) {
	var document rule
	if err := json.Unmarshal(Schema, &document); err != nil {
		panic(fmt.Sprintf("topology.schema.json: %v", err)) // a test keeps it right
	}
	compiled, err := jsonschema.NewCompiler().Compile(Schema)
	if err != nil {
		panic(fmt.Sprintf("topology.schema.json: %v", err))
	}
	return compiled, document
})

// checkShape reports unknown and missing keys and values of the wrong kind.
func checkShape(s *source) error {
	schema, document := compiledSchema()
	return s.shapeErrors(schema.Validate(s.value), "", s.value, document).Err()
}

// shapeErrors puts what the schema found in the value at a path into words and places.
func (s *source) shapeErrors(found *jsonschema.EvaluationResult, p path, value any, r rule) Errors {
	var errs Errors
	r = r.referred()
	for _, keyword := range slices.Sorted(maps.Keys(found.Errors)) {
		switch e := found.Errors[keyword]; keyword {
		case "$ref", "properties", "items": // what they lead to says more
		case "type":
			errs.Add(s.place(p), "found %s, expected %s%s", kindNames[e.Params["received"].(string)], kindNames[e.Params["expected"].(string)], forKey(p))
		case "enum":
			errs.Add(s.place(p), "found %.40q, expected one of %s", fmt.Sprint(value), strings.Trim(fmt.Sprint(r["enum"]), "[]"))
		case "required":
			for _, key := range r["required"].([]any) {
				if there, _ := member(value, key.(string)); !there {
					errs.Add(s.place(p), "found no %q%s, expected one", key, forKey(p))
				}
			}
		case "additionalProperties":
			for _, key := range slices.Sorted(maps.Keys(value.(map[string]any))) {
				if r.of(key) == nil {
					errs.Add(s.keys[p.at(key)], "found the key %q, expected one of %s", key, strings.Join(r.keys(), ", "))
				}
			}
		default:
			errs.Add(s.place(p), "%s", e.Error())
		}
	}
	for _, cause := range found.Details {
		if cause.InstanceLocation == "" {
			errs = append(errs, s.shapeErrors(cause, p, value, r)...)
			continue
		}
		step := strings.TrimPrefix(cause.InstanceLocation, "/")
		// A key that is required is judged as null where it is missing, one that is unknown as forbidden.
		if there, inner := member(value, step); there && r.of(step) != nil {
			errs = append(errs, s.shapeErrors(cause, p.at(step), inner, r.of(step))...)
		}
	}
	return errs
}

// member is what a step of a path leads to in a value.
func member(value any, step string) (there bool, inner any) {
	switch v := value.(type) {
	case map[string]any:
		inner, there = v[step]
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i < len(v) {
			return true, v[i]
		}
	}
	return there, inner
}

// A rule is a schema, or one within it, as plain data.
type rule map[string]any

// referred is the rule that this one refers to, or itself.
func (r rule) referred() rule {
	name, ok := strings.CutPrefix(fmt.Sprint(r["$ref"]), "#/$defs/")
	if !ok {
		return r
	}
	_, document := compiledSchema()
	return rule(document["$defs"].(map[string]any)[name].(map[string]any))
}

// of is the rule for a member or an element; nil where there is none.
func (r rule) of(step string) rule {
	properties, _ := r["properties"].(map[string]any)
	for _, one := range []any{properties[step], r["items"], r["additionalProperties"]} {
		if one, ok := one.(map[string]any); ok {
			return one
		}
	}
	return nil
}

// keys lists the keys that it allows.
func (r rule) keys() []string {
	properties, _ := r["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
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
