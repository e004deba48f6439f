package program

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/bundle"
	"portcullis/policies"
)

// inputSchema is the schema that every rule is type-checked with. The compiler only
// reads it.
var inputSchema = sync.OnceValues(func() (*ast.SchemaSet, error) {
	raw, err := fs.ReadFile(policies.Files(), "schema/input.json")
	if err != nil {
		return nil, err
	}
	var schema any
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("schema/input.json: %w", err)
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema)
	return set, nil
})

// dataSchema is what data are held against, in the forms in which it is asked.
type dataSchema struct {
	written *jsonschema.Schema
	quick   *form
	whole   func() (*jsonschema.Resolved, error) // for what the quick form does not take
}

var schemaOfData = sync.OnceValues(func() (dataSchema, error) {
	written, err := read("schema/data.json")
	if err != nil {
		return dataSchema{}, err
	}
	whole := sync.OnceValues(func() (*jsonschema.Resolved, error) { return written.Resolve(nil) })
	return dataSchema{written, formOf(written), whole}, nil
})

// read reads an embedded schema.
func read(name string) (*jsonschema.Schema, error) {
	raw, err := fs.ReadFile(policies.Files(), name)
	if err != nil {
		return nil, err
	}
	schema := new(jsonschema.Schema)
	if err := json.Unmarshal(raw, schema); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return schema, nil
}

// checkData holds every bundle's data against the schema.
func (p *Program) checkData(bundles []*bundle.Bundle) error {
	schema, err := schemaOfData()
	if err != nil {
		return err
	}
	var found Findings
	for _, b := range bundles {
		if schema.quick.fits(b.Data) {
			continue
		}
		whole, err := schema.whole()
		if err != nil {
			return err
		}
		if err = whole.Validate(b.Data); err == nil {
			continue
		}
		if all := located(schema.written, b); len(all) > 0 {
			found = append(found, all...)
		} else {
			found = append(found, Finding{
				File: b.Title(b.DataFile.Name), Line: 1, Check: "data", Msg: err.Error(),
				Cure: "write data as schema/data.json says; data of a team's own rules go below team.<team>",
			})
		}
	}
	if err := found.Err(); err != nil {
		return err
	}
	p.Tiers, err = p.Data.Tiers()
	return err
}

// Whole makes a check whether a raw input is whole: every field there, typed, and
// no other (schema/input.json).
func Whole() (func(in map[string]any) error, error) {
	schema, err := read("schema/input.json")
	if err != nil {
		return nil, err
	}
	whole, err := schema.Resolve(nil)
	if err != nil {
		return nil, err
	}
	return func(in map[string]any) error { return whole.Validate(in) }, nil
}
