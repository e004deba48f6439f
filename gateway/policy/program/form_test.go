package program

import (
	"encoding/json"
	"fmt"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// The quick look at data says yes to nothing that the validator refuses, and to all that
// large data are made of.
func TestTheQuickLookAtDataAgreesWithTheValidator(t *testing.T) {
	kept, err := schemaOfData()
	if err != nil {
		t.Fatal(err)
	}
	quick := kept.quick
	schema, err := kept.whole()
	if err != nil {
		t.Fatal(err)
	}
	values := []string{`null`, `true`, `0`, `-1`, `1.5`, `2000000000000000`, `""`, `"x"`, `"/x"`, `[]`, `["x"]`, `[1]`, `{}`, `{"x": {}}`, `{"": {}}`, `{"/x": {}}`, `{"x": 1}`}
	for _, at := range []string{
		`%s`, `{"grants": %s}`, `{"grants": {"subjects": %s}}`, `{"grants": {"subjects": {"a": %s}}}`, `{"grants": {"subjects": {"a": {"kv": %s}}}}`,
		`{"grants": {"subjects": {"a": {"kv": {"p": %s}}}}}`, `{"grants": {"subjects": {"a": {"kv": {"p": {"ops": %s}}}}}}`,
		`{"grants": {"subjects": {"a": {"kv": {"p": {"expires_s": %s}}}}}}`, `{"grants": {"subjects": {"a": {"kv": {"p": {"deliver": %s}}}}}}`,
		`{"grants": {"roles": {"a": {"tier": %s}}}}`, `{"grants": {"roles": {"a": {"nope": %s}}}}`, `{"tenants": %s}`, `{"tenants": {"a": {"roles": {"b": {"ssh": %s}}}}}`,
		`{"tiers": %s}`, `{"tiers": {"a": %s}}`, `{"tiers": {"a": {"requests": 1, "window_s": %s}}}`, `{"tiers": {"a": {"requests": 1, "window_s": 1, "cost": %s}}}`,
		`{"obligations": %s}`, `{"obligations": {"kv.read": %s}}`, `{"obligations": {"kv.read": {"transforms": [%s]}}}`, `{"obligations": {"kv.read": {"transforms": [{"name": %s}]}}}`,
		`{"obligations": {"kv.read": {"approval": %s}}}`, `{"version": %s}`, `{"zone": %s}`, `{"teams": %s}`, `{"teams": {"t": {"owns": {"kv": %s}}}}`, `{"teams": {"t": {"global": %s}}}`,
		`{"masks": %s}`, `{"unmasked": %s}`, `{"team": %s}`, `{"team": {"t": {"list": %s}}}`, `{"nope": %s}`,
	} {
		for _, v := range values {
			var data any
			text := fmt.Sprintf(at, v)
			if err := json.Unmarshal([]byte(text), &data); err != nil {
				t.Fatal(err)
			}
			if want, got := schema.Validate(data) == nil, quick.fits(data); got != want {
				t.Errorf("%s: got %v, want %v", text, got, want)
			}
		}
	}
	core, err := bundle.Core()
	if err != nil || !quick.fits(core.Data) {
		t.Errorf("the embedded data: %v", err)
	}
}
