package transform_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/ops"
	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
)

// secret is the output schema of an operation.
func secret(t *testing.T) *transform.Result {
	t.Helper()
	s := &jsonschema.Schema{}
	text := `{"type":"object","required":["data","version"],"additionalProperties":false,"properties":{
		"data":{"type":"object"},"version":{"type":"integer"},"tags":{"type":"array","items":{"type":"string","pattern":"^a"}}}}`
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return transform.NewResult(s)
}

// TestResultKeepsItsShape: what a module returns is checked against the operation's
// own schema, as far as the module declares to keep to it.
func TestResultKeepsItsShape(t *testing.T) {
	const in = `{"data":{"a":"b"},"version":3,"tags":["ax"]}`
	for name, c := range map[string]struct {
		shape, out string
		ok         bool
	}{
		"a list":              {"other", `[1,2,3]`, false},
		"a text":              {"other", `"x"`, false},
		"a key twice":         {"other", `{"data":{},"data":{}}`, false},
		"another object":      {"other", `{"format":"env"}`, true},
		"not declared":        {"", `{"format":"env"}`, false},
		"masked value":        {"", `{"data":"[masked]","version":"[masked]","tags":["[masked]"]}`, true},
		"member removed":      {"masked", `{"data":{}}`, true},
		"member added":        {"masked", `{"data":{},"seen":true}`, false},
		"list where a number": {"masked", `{"data":{},"version":[1]}`, false},
		"same but masked":     {"same", `{"data":"[masked]","version":3}`, false},
		"same":                {"same", `{"data":{"a":1},"version":4}`, true},
		"same, null":          {"same", `{"data":null,"version":4}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			line := d.put("m.wasm", abuse.Says(c.out)) + ", name: m, hooks: [response]"
			if c.shape != "" {
				line += ", shape: " + c.shape
			}
			d.write(line)
			g := d.open(transform.Options{}).Pin()
			defer g.Release()
			about := response()
			about.Caller, about.Result = "agent", secret(t)
			p, err := g.Plan(about, []transform.Obligation{{Name: "m"}})
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := p.Apply([]byte(in))
			if f := (*transform.Failure)(nil); c.ok != (err == nil) || err != nil && (!errors.As(err, &f) || f.Code != guest.Output) {
				t.Errorf("got %s, %v; want it taken: %v", out, err, c.ok)
			}
		})
	}
}

// TestEveryResultHasAShape: what the results of an operation must look like is worked out
// with the first call that needs it, which must not be refused because it cannot be.
func TestEveryResultHasAShape(t *testing.T) {
	all, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all.All() {
		if err := transform.Shapes(transform.NewResult(o.Out)); err != nil {
			t.Errorf("%s: %v", o.Name, err)
		}
	}
}

// TestQuarantineOfOneCaller: a module that fails for one caller's data stays there for
// the others; one that fails for many callers on many inputs is kept from all.
func TestQuarantineOfOneCaller(t *testing.T) {
	now := time.Unix(1000, 0)
	d := newDir(t)
	d.write(d.put("trap.wasm", module(t, "trap")) + ", name: trap, hooks: [response]")
	s := d.open(transform.Options{Now: func() time.Time { return now }})
	g := s.Pin()
	defer g.Release()
	plan := func(caller string) (transform.Plan, error) {
		about := response()
		about.Caller = caller
		return g.Plan(about, []transform.Obligation{{Name: "trap"}})
	}
	fail := func(caller, payload string) {
		t.Helper()
		p, err := plan(caller)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Apply([]byte(payload)); err == nil {
			t.Fatal("a trap is a result")
		}
	}
	for i := range 5 {
		fail("loud", fmt.Sprintf(`{"n":%d}`, i))
	}
	_, err := plan("loud")
	u, ok := errors.AsType[*transform.Unavailable](err)
	if !ok || u.Wait <= 0 || !errors.Is(err, transform.ErrQuarantined) {
		t.Fatalf("the caller itself: got %v, want it told when to try again", err)
	}
	if _, err := plan("quiet"); err != nil {
		t.Errorf("another caller: got %v", err)
	}
	if !s.Status().Ready() {
		t.Error("one caller's failures are the module's")
	}
	fail("second", `{"n":1}`)
	if _, err := plan("quiet"); err != nil {
		t.Errorf("after two callers: got %v", err)
	}
	fail("third", `{"n":7}`)
	if _, err := plan("quiet"); !errors.Is(err, transform.ErrQuarantined) {
		t.Errorf("after three callers: got %v", err)
	}
	if s.Status().Ready() {
		t.Error("the status does not say that the module is in quarantine")
	}
}

// TestQuarantineIsBounded: callers come and go, what is kept of them does not grow.
func TestQuarantineIsBounded(t *testing.T) {
	d := newDir(t)
	d.write(d.put("trap.wasm", module(t, "trap")) + ", name: trap, hooks: [response]")
	g := d.open(transform.Options{}).Pin()
	defer g.Release()
	for i := range 3000 {
		about := response()
		about.Caller = fmt.Sprint("caller-", i)
		if p, err := g.Plan(about, []transform.Obligation{{Name: "trap"}}); err == nil {
			_, _, _ = p.Apply([]byte(`{}`))
		}
	}
	if n := transform.Quarantines(g, "trap"); n > 1024 {
		t.Errorf("%d callers are remembered", n)
	}
}

func TestSelectorsThatMatchNothing(t *testing.T) {
	known := transform.Known{Operations: []string{"kv.read", "kv.write"}, Mounts: []string{"secret"}}
	for name, c := range map[string]struct{ selectors, want string }{
		"operation misspelled": {"{operations: [kv.raed]}", `select.operations: "kv.raed"`},
		"mount misspelled":     {"{mounts: [secert]}", `select.mounts: "secert"`},
		"one of two":           {"{operations: ['kv.*', 'transit.*']}", `"transit.*"`},
		"right":                {"{operations: ['kv.*'], mounts: [secret]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			d.write(d.put("echo.wasm", abuse.Echo()) + ", name: echo, hooks: [response], apply: mandatory, select: " + c.selectors)
			s, err := transform.Open(t.Context(), d.manifest(), transform.Options{Known: known})
			if err == nil {
				s.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
