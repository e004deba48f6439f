package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/bundle"
	"portcullis/policies"
)

// inputSchema is the schema that every rule is type-checked with.
func inputSchema() (*ast.SchemaSet, error) {
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
}

// resolve reads an embedded schema for validation.
func resolve(name string) (*jsonschema.Resolved, error) {
	raw, err := fs.ReadFile(policies.Files(), name)
	if err != nil {
		return nil, err
	}
	schema := new(jsonschema.Schema)
	if err := json.Unmarshal(raw, schema); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return schema.Resolve(nil)
}

// checkData holds every bundle's data against the schema.
func (p *Program) checkData(bundles []*bundle.Bundle) error {
	schema, err := resolve("schema/data.json")
	if err != nil {
		return err
	}
	var found Findings
	for _, b := range bundles {
		if err := schema.Validate(b.Data); err != nil {
			found = append(found, Finding{
				File: b.Title(b.DataFile.Name), Line: 1, Check: "data", Msg: err.Error(),
				Cure: "write data as schema/data.json says; data of a team's own rules go below team.<team>",
			})
		}
	}
	p.Tiers, err = tiers(p.Data)
	return errors.Join(found.Err(), err)
}

// Whole makes a check whether a raw input is whole: every field there, typed, and
// no other (schema/input.json).
func Whole() (func(in map[string]any) error, error) {
	schema, err := resolve("schema/input.json")
	if err != nil {
		return nil, err
	}
	return func(in map[string]any) error { return schema.Validate(in) }, nil
}
