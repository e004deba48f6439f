package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
	"portcullis/gateway/openapi"
)

// The lines between which the README's table stands.
const (
	begin = "<!-- operations:begin -->\n"
	end   = "<!-- operations:end -->"
)

// readme replaces what stands between the markers.
func readme(c *op.Catalogue, old []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(old, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return nil, errors.New("the markers of the table of operations are missing")
	}
	return slices.Concat(before, []byte(begin), table(c), []byte(end), after), nil
}

// scope is the scope that an operation needs (policies/gateway/scopes.rego).
func scope(o *op.Op) string {
	switch {
	case o.Public:
		return ""
	case o.Effect == op.Issue:
		return string(op.Write)
	}
	return string(o.Effect)
}

// route is the operation's route as people write it.
func route(o *op.Op) string {
	if o.VaultAPI {
		return "/v1/"
	}
	path, _ := openapi.Template(o.Path)
	return o.Method + " " + path
}

func table(c *op.Catalogue) []byte {
	var b bytes.Buffer
	b.WriteString("| operation | REST | scope | |\n|---|---|---|---|\n")
	for _, o := range inOrder(c) {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", o.Name, route(o), scope(o), o.Doc)
	}
	return b.Bytes()
}

// inOrder are the operations by engine, and by name in each.
func inOrder(c *op.Catalogue) []*op.Op {
	engines := []string{"kv", "transit", "db", "ssh", "pki", "totp", "creds", "sys", "self"}
	list := slices.Clone(c.All())
	slices.SortStableFunc(list, func(a, b *op.Op) int {
		return slices.Index(engines, a.Engine) - slices.Index(engines, b.Engine)
	})
	return list
}

const preface = `# Operations

Each is a REST route and, under its own name, an MCP tool; one of ` + "`/v1/`" + ` is only there over Vault's own API. Arguments of the path are
in braces; those of GET and DELETE are query parameters, all others members of the
JSON body. A tool takes all of them as one object. Errors are described in
[openapi.json](../openapi/openapi.json).
`

func reference(c *op.Catalogue) []byte {
	b := bytes.NewBufferString(preface)
	for _, o := range inOrder(c) {
		fmt.Fprintf(b, "\n## %s\n\n%s\n\n`%s`, %s.\n", o.Name, o.Doc, route(o), strings.Join(traits(o), ", "))
		properties(b, "argument", o.In)
		properties(b, "result", o.Out)
	}
	return b.Bytes()
}

// traits are what there is to know before calling.
func traits(o *op.Op) []string {
	list := []string{"scope `" + scope(o) + "`"}
	if o.Public {
		list[0] = "for every authenticated caller"
	}
	if o.Destructive {
		list = append(list, "destructive")
	}
	if o.Idempotent {
		list = append(list, "idempotent")
	}
	if o.Effect == op.Issue {
		list = append(list, "mints a credential")
	}
	if o.Status == http.StatusNoContent {
		list = append(list, "answers 204 without a body")
	}
	return list
}

func properties(b *bytes.Buffer, heading string, s *jsonschema.Schema) {
	if len(s.Properties) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s | type | |\n|---|---|---|\n", heading)
	rows(b, "", s)
}

// rows writes a row for each property, those of listed objects below their list.
func rows(b *bytes.Buffer, prefix string, s *jsonschema.Schema) {
	for _, name := range s.PropertyOrder {
		p := s.Properties[name]
		required := ""
		if slices.Contains(s.Required, name) {
			required = ", required"
		}
		fmt.Fprintf(b, "| `%s%s` | %s%s | %s%s |\n", prefix, name, kind(p), required, p.Description, bounds(p))
		switch {
		case p.Items != nil && p.Items.Properties != nil:
			rows(b, prefix+name+"[].", p.Items)
		case p.Properties != nil:
			rows(b, prefix+name+".", p)
		case p.AdditionalProperties != nil && p.AdditionalProperties.Properties != nil:
			rows(b, prefix+name+".*.", p.AdditionalProperties)
		}
	}
}

func kind(s *jsonschema.Schema) string {
	t := s.Type
	for _, one := range s.Types {
		if one != "null" {
			t = one
		}
	}
	if t == "array" && s.Items != nil {
		return "list of " + kind(s.Items)
	}
	if t == "" {
		return "any"
	}
	return t
}

// bounds says what the schema demands beside the type.
func bounds(s *jsonschema.Schema) string {
	var b strings.Builder
	separator := ": "
	for _, e := range s.Enum {
		fmt.Fprintf(&b, "%s`%v`", separator, e)
		separator = ", "
	}
	if s.Minimum != nil {
		fmt.Fprintf(&b, "; at least %v", *s.Minimum)
	}
	if s.Maximum != nil {
		fmt.Fprintf(&b, "; at most %v", *s.Maximum)
	}
	if s.MaxItems != nil {
		fmt.Fprintf(&b, "; at most %d items", *s.MaxItems)
	}
	if len(s.Default) > 0 {
		fmt.Fprintf(&b, "; default `%s`", strings.Trim(string(s.Default), `"`))
	}
	return b.String()
}
