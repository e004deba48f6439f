package document

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// CheckDuty checks one field of an obligation, as data and teams write them. A nil
// value is one that is not known yet.
func CheckDuty(field string, value any) error {
	switch field {
	case "rule":
		return nil // says where it comes from
	case "mode":
		if value != "dry_run" {
			return errors.New("the mode is dry_run or there is none")
		}
	case "deliver":
		if value != nil && value != "plain" && value != "masked" && value != "wrapped" {
			return fmt.Errorf("deliver is %v, and none of plain, masked and wrapped", value)
		}
	case "wrap_ttl_s", "max_ttl_s", "min_ttl_s", "min_wrap_ttl_s":
		return checkBound(field, value)
	case "fields":
		return checkTexts(field, value)
	case "transforms":
		return checkTransforms(value)
	case "approval":
		a, ok := value.(map[string]any)
		if _, named := a["group"].(string); value != nil && (!ok || !named || len(a) != 1) {
			return errors.New("an approval has a group, and nothing else")
		}
	default:
		return fmt.Errorf("an obligation has no %q", field)
	}
	return nil
}

func checkBound(field string, value any) error {
	if value == nil {
		return nil
	}
	n, err := whole(value)
	if err != nil || n < 0 {
		return fmt.Errorf("%s is %v, and not a whole number from 0", field, value)
	}
	return nil
}

// checkTransforms wants a list of names with their arguments.
func checkTransforms(value any) error {
	if value == nil {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		return errors.New("transforms is not a list")
	}
	for _, v := range list {
		t, _ := v.(map[string]any)
		name, _ := t["name"].(string)
		args, given := t["args"]
		_, isObject := args.(map[string]any)
		if name == "" || given && !isObject || len(t) > 2 || len(t) == 2 && !given {
			return errors.New("a transform has a name, perhaps args, and nothing else")
		}
	}
	return nil
}

func checkTexts(field string, value any) error {
	if value == nil {
		return nil
	}
	list, ok := value.([]any)
	for _, v := range list {
		_, text := v.(string)
		ok = ok && text
	}
	if !ok {
		return fmt.Errorf("%s is not a list of texts", field)
	}
	return nil
}

func whole(v any) (int64, error) {
	switch n := v.(type) {
	case float64:
		if n == float64(int64(n)) {
			return int64(n), nil
		}
	case interface{ Int64() (int64, error) }:
		return n.Int64()
	}
	return 0, errors.New("not a whole number")
}

// FieldsOf are the fields of the input at a path; open is what may have any, as the
// values of the arguments.
func FieldsOf(path string) (names []string, open bool) {
	in := reflect.TypeFor[Input]()
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' }) {
		next, ok := fieldNamed(in, part)
		if !ok {
			return nil, in.Kind() == reflect.Map
		}
		if in = next; in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
	}
	if in.Kind() != reflect.Struct {
		return nil, in.Kind() == reflect.Map
	}
	for f := range in.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, tag)
	}
	return names, false
}

// HasField reports whether the input has a field of this path.
func HasField(path string) bool {
	i := strings.LastIndexByte(path, '.')
	names, open := FieldsOf(path[:max(i, 0)])
	return open || slices.Contains(names, path[i+1:])
}

// Always reports whether every input has what is at a path. A part that begins with a
// star is an element of a list that is there. What may be null has no fields for certain,
// an object of any form has none, and a list has no element for certain. What may be null
// is asked for by its length in the path.
func Always(path []string, isNot func(null int) bool) bool {
	in, null := reflect.TypeFor[Input](), false
	for i, part := range path {
		next, ok := fieldNamed(in, part)
		if !ok && in.Kind() == reflect.Slice && strings.HasPrefix(part, "*") {
			next, ok = in.Elem(), true
		}
		if !ok || null && !isNot(i) {
			return false
		}
		if in, null = next, next.Kind() == reflect.Pointer; null {
			in = in.Elem()
		}
	}
	return true
}

// TypeOf is the JSON type of what is at a path, as Always takes it: "string", "number",
// "boolean", "array" or "object", empty for what may be of any type or is not there. Null
// says that it may be null as well.
func TypeOf(path []string) (name string, null bool) {
	in := reflect.TypeFor[Input]()
	for _, part := range path {
		if in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		next, ok := fieldNamed(in, part)
		if !ok && in.Kind() == reflect.Slice && strings.HasPrefix(part, "*") {
			next, ok = in.Elem(), true
		}
		if !ok {
			return "", false
		}
		in = next
	}
	if null = in.Kind() == reflect.Pointer; null {
		in = in.Elem()
	}
	switch in.Kind() {
	case reflect.String:
		return "string", null
	case reflect.Int, reflect.Int64:
		return "number", null
	case reflect.Bool:
		return "boolean", null
	case reflect.Slice:
		return "array", null
	case reflect.Struct, reflect.Map:
		return "object", null
	}
	return "", null
}

// HoldsTexts reports whether a field of the input is a text or a list of texts.
func HoldsTexts(path string) bool {
	in := reflect.TypeFor[Input]()
	for part := range strings.SplitSeq(path, ".") {
		for in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		next, ok := fieldNamed(in, part)
		if !ok {
			return false
		}
		in = next
	}
	return in.Kind() == reflect.String || in.Kind() == reflect.Slice && in.Elem().Kind() == reflect.String
}

func fieldNamed(t reflect.Type, name string) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for f := range t.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f.Type, true
		}
	}
	return nil, false
}
