package program

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"portcullis/gateway/policy/bundle"
)

// located finds what of a bundle's data the schema refuses, each with its line, where a
// validator says only that something is refused. It follows the keywords that
// schema/data.json uses.
func located(root *jsonschema.Schema, b *bundle.Bundle) Findings {
	l := &locator{root: root, file: b.Title(b.DataFile.Name)}
	var doc yaml.Node
	if yaml.NewDecoder(bytes.NewReader(b.DataFile.Text)).Decode(&doc) == nil && len(doc.Content) > 0 {
		l.value(doc.Content[0], root, "")
	}
	return l.found
}

type locator struct {
	root  *jsonschema.Schema
	file  string
	found Findings
}

func (l *locator) add(n *yaml.Node, at, msg, cure string) {
	if at == "" {
		at = "the file"
	}
	l.found = append(l.found, Finding{File: l.file, Line: n.Line, Check: "data", Msg: at + " " + msg, Cure: cure})
}

// value holds a value against its schema.
func (l *locator) value(n *yaml.Node, s *jsonschema.Schema, at string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		s = l.root.Defs[name]
	}
	kind := kindOf(n)
	switch {
	case s.Type != "" && s.Type != kind:
		l.add(n, at, "is "+article(kind)+" and should be "+article(s.Type), "write it as policies/README.md shows")
	case kind == "object":
		l.object(n, s, at)
	case kind == "array" && s.Items != nil:
		for i, item := range n.Content {
			l.value(item, s.Items, fmt.Sprintf("%s[%d]", at, i))
		}
	default:
		l.scalar(n, s, at)
	}
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "object"
	case yaml.SequenceNode:
		return "array"
	}
	switch n.ShortTag() {
	case "!!int":
		return "integer"
	case "!!float":
		var f float64
		if n.Decode(&f) == nil && f == math.Trunc(f) {
			return "integer"
		}
		return "number"
	case "!!bool":
		return "boolean"
	case "!!null":
		return "null"
	}
	return "string"
}

func article(kind string) string {
	switch kind {
	case "object":
		return "a table"
	case "array":
		return "a list"
	case "integer":
		return "a whole number"
	case "null":
		return "nothing"
	case "string":
		return "a text"
	}
	return "a " + kind
}

func (l *locator) object(n *yaml.Node, s *jsonschema.Schema, at string) {
	there := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		there[key.Value] = true
		below := strings.TrimPrefix(at+"."+key.Value, ".")
		switch sub, ok := s.Properties[key.Value]; {
		case key.ShortTag() == "!!merge":
		case s.PropertyNames != nil && !named(s.PropertyNames, key.Value):
			l.add(key, below, fmt.Sprintf("has a name that cannot be: %q", key.Value), "name it as calls have it: not empty, without a slash at its beginning")
		case ok:
			l.value(v, sub, below)
		case s.AdditionalProperties == nil: // of any form
		case closed(s.AdditionalProperties):
			l.add(key, below, "is not known", "it is one of "+strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")+"; data of a team's own rules go below team.<team>")
		default:
			l.value(v, s.AdditionalProperties, below)
		}
	}
	for _, name := range s.Required {
		if !there[name] {
			l.add(n, at, "lacks "+name, "add it")
		}
	}
}

// closed reports whether a schema takes nothing, as false does.
func closed(s *jsonschema.Schema) bool { return s.Not != nil }

func named(s *jsonschema.Schema, name string) bool {
	if s.MinLength != nil && len(name) < *s.MinLength {
		return false
	}
	return s.Pattern == "" || regexp.MustCompile(s.Pattern).MatchString(name)
}

func (l *locator) scalar(n *yaml.Node, s *jsonschema.Schema, at string) {
	var v any
	if n.Decode(&v) != nil {
		return
	}
	number, isNumber := asNumber(v)
	switch {
	case len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return sameScalar(e, v) }):
		l.add(n, at, fmt.Sprintf("is %#v", v), fmt.Sprintf("it is one of %v", s.Enum))
	case s.Minimum != nil && isNumber && number < *s.Minimum:
		l.add(n, at, fmt.Sprintf("is %s, and at least %v is needed", n.Value, *s.Minimum), "write a larger number")
	case s.Maximum != nil && isNumber && number > *s.Maximum:
		l.add(n, at, fmt.Sprintf("is %s, and at most %.0f is taken", n.Value, *s.Maximum), "write a smaller number")
	case s.MinLength != nil && len(n.Value) < *s.MinLength:
		l.add(n, at, "is empty", "name something, or leave it out")
	}
}

// sameScalar reports whether two values are the same: numbers are, whatever they were
// decoded to.
func sameScalar(a, b any) bool {
	x, isNumber := asNumber(a)
	y, other := asNumber(b)
	return isNumber && other && x == y || !isNumber && !other && a == b
}

func asNumber(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
