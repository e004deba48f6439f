package document_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"portcullis/gateway/op/jsonline"
	"portcullis/gateway/policy/document"
)

// TestAppendToIsWhatTheTypeSays: every field of an input, whatever it is, is in what is
// appended, in its place, and no other. A field that is added to the type and forgotten
// there fails it.
func TestAppendToIsWhatTheTypeSays(t *testing.T) {
	empty, full := document.Input{}, document.Input{}
	fill(reflect.ValueOf(&full).Elem(), "x<\"é\n")
	behalf := input(t)
	behalf.Principal.OnBehalfOf = &document.Represented{ID: "p", Credential: &document.Credential{Method: "jwt"}}
	for name, in := range map[string]document.Input{"empty": empty, "full": full, "usual": input(t), "on behalf of": behalf} {
		in.Args.Values = nil // of those nothing is recorded
		o := jsonline.Begin(nil)
		in.AppendTo(&o, "input")
		var got map[string]any
		if err := json.Unmarshal(o.End(), &got); err != nil {
			t.Fatalf("%s: %v: %s", name, err, o.B)
		}
		want := asMap(t, in)
		delete(want["args"].(map[string]any), "values")
		absent(want)
		if !reflect.DeepEqual(got["input"], any(want)) {
			t.Errorf("%s:\ngot  %v\nwant %v", name, got["input"], want)
		}
	}
}

// absent makes empty what is null in a list's or an object's place: the log has no null
// there.
func absent(in map[string]any) {
	none := func(path []string, empty any) {
		at := in
		for _, k := range path[:len(path)-1] {
			at, _ = at[k].(map[string]any)
		}
		if k := path[len(path)-1]; at != nil && at[k] == nil {
			at[k] = empty
		}
	}
	for _, p := range [][]string{
		{"principal", "roles"},
		{"principal", "scopes"},
		{"principal", "actors"},
		{"resource", "ancestors"},
		{"resource", "segments"},
		{"resource", "relative_segments"},
		{"resource", "matches"},
		{"args", "keys"},
	} {
		none(p, []any{})
	}
	for _, p := range [][]string{{"principal", "claims"}, {"args", "fields"}, {"context", "session"}} {
		none(p, map[string]any{})
	}
	if principal, ok := in["principal"].(map[string]any); ok && principal["on_behalf_of"] != nil {
		for _, k := range []string{"roles", "scopes"} {
			none([]string{"principal", "on_behalf_of", k}, []any{})
		}
		none([]string{"principal", "on_behalf_of", "claims"}, map[string]any{})
	}
}

// fill puts a value of its own into every field.
func fill(v reflect.Value, text string) {
	n := 0
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		n++
		switch v.Kind() {
		case reflect.String:
			v.SetString(fmt.Sprint(text, n))
		case reflect.Int, reflect.Int64:
			v.SetInt(int64(n))
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Pointer:
			if v.Type() == reflect.TypeFor[*document.Never]() {
				return
			}
			v.Set(reflect.New(v.Type().Elem()))
			walk(v.Elem())
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			for range 2 {
				e := reflect.New(v.Type().Elem()).Elem()
				walk(e)
				v.SetMapIndex(reflect.ValueOf(fmt.Sprint(text, "key", n)), e)
			}
		case reflect.Interface:
			v.Set(reflect.ValueOf(any(map[string]any{"k": []any{"v", 1.5, nil, true}})))
		case reflect.Struct:
			for _, f := range v.Fields() {
				walk(f)
			}
		}
	}
	walk(v)
}
