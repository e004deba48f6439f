package failclosed

import (
	"testing"

	"portcullis/gateway/ops"
	"portcullis/gateway/policy/data"
)

// An input that shares objects with another says the same to the evaluator as one that is
// made as a whole.
func TestInputsThatShareObjectsSayTheSame(t *testing.T) {
	catalogue, err := ops.New(ops.Mounts{KV: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	in := rawOf(corpus(data.Data{}, catalogue.All())[0])
	b := newBase(in)
	for _, path := range fields(in) {
		for _, c := range changes() {
			spoilt := in.along(path)
			c.apply(spoilt, path)
			if want, got := term(map[string]any(spoilt)).Value, b.value(spoilt); want.Compare(got) != 0 {
				t.Errorf("%v is %s: got %v, want %v", path, c.name, got, want)
			}
		}
	}
	for _, l := range []literal{{[]string{"args", "values", "ttl"}, "x"}, {[]string{"resource", "path"}, "a/b"}, {[]string{"principal", "kind"}, "human"}} {
		before := term(map[string]any(in)).Value
		changed := in.with(l)
		if want, got := term(map[string]any(changed)).Value, b.value(changed); want.Compare(got) != 0 || before.Compare(got) == 0 {
			t.Errorf("with %v: got %v, want %v", l, got, want)
		}
		if after := term(map[string]any(in)).Value; before.Compare(after) != 0 {
			t.Errorf("with %v has changed the input that it was made of", l)
		}
	}
}
