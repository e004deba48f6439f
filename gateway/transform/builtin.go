package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/transform/guest"
	"portcullis/gateway/transform/native"
)

// builtins are the transforms that are always there. A module of the manifest
// with the same name takes the place of one: that is the operator's word.
func builtins(now func() time.Time) ([]*loadedModule, error) {
	mask, err := builtin(now, nativeEntry("mask", shapeMasked), native.MaskSchema(), native.Mask)
	if err != nil {
		return nil, err
	}
	encode, err := builtin(now, nativeEntry("encode", shapeOther), native.EncodeSchema(), native.Encode)
	return []*loadedModule{mask, encode}, err
}

// builtin makes a module of a native function.
func builtin(now func() time.Time, e *Entry, schema *jsonschema.Schema, fn native.Func) (*loadedModule, error) {
	args, err := schema.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("built-in %s: %w", e.Name, err)
	}
	return &loadedModule{
		Entry: e, digest: "native", hooks: []guest.Hook{guest.Response}, args: args,
		breaker: newQuarantine(e.Name, now), metrics: newModuleMetrics(e.Name),
		run: func(dst []byte, s *step, in guest.In) ([]byte, guest.Out, error) {
			return runNative(fn, dst, s.args, in)
		},
	}, nil
}

// nativeEntry is what a manifest would say of a built-in.
func nativeEntry(name, shape string) *Entry {
	return &Entry{Name: name, Hooks: []string{guest.Response.String()}, Phase: name, Priority: 100, Apply: "policy", Shape: shape}
}

func runNative(fn native.Func, dst []byte, args json.RawMessage, in guest.In) ([]byte, guest.Out, error) {
	out, changed, err := fn(dst, in.Payload, args)
	switch {
	case errors.Is(err, native.ErrInput):
		return dst, guest.Out{}, &guest.Fault{Code: guest.BadInput, Err: err}
	case err != nil:
		return dst, guest.Out{}, &guest.Fault{Code: guest.Internal, Err: err}
	case len(out)-len(dst) > in.Limit:
		return dst, guest.Out{}, &guest.Fault{Code: guest.Output}
	}
	return out, guest.Out{Changed: changed}, nil
}
