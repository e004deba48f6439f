package op

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
)

// unknown refuses an argument that is not there, and names those that are.
func unknown(given string, s *jsonschema.Schema, at string) error {
	names := slices.Sorted(maps.Keys(s.Properties))
	known := "it takes no arguments"
	if len(names) > 0 {
		known = "known are " + strings.Join(names, ", ")
	}
	if n := Nearest(given, names); n != "" {
		known = "did you mean " + n + "? " + strings.ToUpper(known[:1]) + known[1:]
	}
	return call.Errorf(call.InvalidRequest, "unknown argument %s: %s", place(at, safe(given)), known)
}

// maxRepeated is the length of the longest name that is repeated.
const maxRepeated = 32

// safe is a name that may be repeated: one that looks like the name of an argument,
// letters and underscores. What may be a value in the place of a name is not repeated.
func safe(name string) string {
	other := func(r rune) bool { return r != '_' && (r|0x20 < 'a' || r|0x20 > 'z') }
	if name == "" || len(name) > maxRepeated || strings.ContainsFunc(name, other) {
		return "(not a name)"
	}
	return name
}

// Nearest is the name that is meant by a misspelt one, empty when none is near.
func Nearest(given string, names []string) string {
	best, least := "", 3
	flat := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)) }
	if len(given) > call.MaxName {
		return ""
	}
	for _, n := range names {
		if d := levenshtein.ComputeDistance(flat(given), flat(n)); d < least && d < len(n)/2+1 {
			best, least = n, d
		}
	}
	return best
}

// mistyped says what an argument is and what it should be.
func mistyped(val jsontext.Value, p *jsonschema.Schema, at string) error {
	return call.Errorf(call.InvalidRequest, "argument %s: got %s, wanted is %s", at, kindOf(val), wanted(p))
}

func kindOf(val jsontext.Value) string {
	switch val.Kind() {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		if string(val) == `""` {
			return "an empty text"
		}
		return "a text"
	case '0':
		if _, ok := integer(val); ok {
			return "a whole number"
		}
		return "a number that is not whole, or too large"
	case '[':
		return "a list"
	case '{':
		return "an object"
	}
	return "no JSON"
}

// wanted describes what a schema takes, with an example.
func wanted(p *jsonschema.Schema) string {
	switch p.Type {
	case "integer":
		return "a whole number, such as 3"
	case "boolean":
		return "true or false"
	case "array":
		if p.Items != nil && p.Items.Type == "integer" {
			return "a list of whole numbers, such as [1,2]"
		}
		if p.Items != nil && p.Items.Type == "string" {
			return `a list of texts, such as ["app/db","app/cache"]`
		}
		return "a list of objects"
	case "object":
		return `an object, such as {"user":"app"}`
	case "string":
		if len(p.Enum) > 0 {
			return fmt.Sprintf("one of %v", p.Enum)
		}
		return "a text, such as " + example(p)
	}
	return "any JSON value"
}

// example is a value of a text.
func example(p *jsonschema.Schema) string {
	if p.Pattern == refPattern || p.Pattern == folderPattern {
		return `"app/db"`
	}
	return `"app"`
}
