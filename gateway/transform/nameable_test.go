package transform_test

import (
	"errors"
	"testing"

	"portcullis/gateway/transform"
)

func TestNameable(t *testing.T) {
	native, err := transform.Listed("")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := transform.Listed("../../wasm/manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{"keys": []any{"a"}}
	for _, tt := range []struct {
		from *transform.Generation
		name string
		args map[string]any
		want error
	}{
		{native, "mask", keys, nil},
		{native, "mask", nil, nil},
		{native, "mask", map[string]any{"keep": 4}, transform.ErrArgs},
		{native, "encode", map[string]any{"as": "pem", "keys": []any{"a"}}, transform.ErrArgs},
		{native, "pii", nil, transform.ErrUnknown},
		{shipped, "pii", map[string]any{}, nil},
		{shipped, "encode", map[string]any{"as": "pem", "keys": []any{"a"}}, nil},
		{shipped, "redact", nil, transform.ErrHook},
		{shipped, "none", nil, transform.ErrUnknown},
	} {
		if got := tt.from.Nameable("kv.read", tt.name, tt.args); !errors.Is(got, tt.want) {
			t.Errorf("%s %v: got %v, want %v", tt.name, tt.args, got, tt.want)
		}
	}
	if _, err := transform.Listed("none.yaml"); err == nil {
		t.Error("a manifest that is not there is read")
	}
}
