package transform_test

import (
	"strings"
	"testing"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
)

// A module gets of the caller what its manifest asks for, and nothing else.
func TestWhatModulesAreToldOfTheCaller(t *testing.T) {
	about := response()
	about.Subject, about.Roles, about.Tenant = "ann", []string{"ci", "ops"}, "acme"
	for asked, want := range map[string]string{
		"[]":                       `{"op":"kv.read","mount":"secret"}`,
		"[tenant]":                 `{"op":"kv.read","mount":"secret","tenant":"acme"}`,
		"[roles, subject, tenant]": `{"op":"kv.read","mount":"secret","subject":"ann","roles":["ci","ops"],"tenant":"acme"}`,
	} {
		d := newDir(t)
		d.write(d.put("m.wasm", abuse.Meta()) + ", name: m, hooks: [response], shape: other, meta: " + asked)
		g := d.open(transform.Options{}).Pin()
		p, err := g.Plan(about, []transform.Obligation{{Name: "m"}})
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := p.Apply([]byte(`{"data":{}}`))
		if string(out) != want || err != nil {
			t.Errorf("asked for %s: told %s, %v, want %s", asked, out, err, want)
		}
		g.Release()
	}
}

// What a caller does not have is told as empty, so that a module can tell it from what it
// was not told.
func TestModulesAreToldOfWhatACallerDoesNotHave(t *testing.T) {
	d := newDir(t)
	d.write(d.put("m.wasm", abuse.Meta()) + ", name: m, hooks: [response], shape: other, meta: [roles, tenant]")
	g := d.open(transform.Options{}).Pin()
	defer g.Release()
	p, err := g.Plan(response(), []transform.Obligation{{Name: "m"}})
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err := p.Apply([]byte(`{}`)); string(out) != `{"op":"kv.read","mount":"secret","roles":[],"tenant":""}` || err != nil {
		t.Errorf("told %s, %v", out, err)
	}
}

func TestManifestsThatAskForOtherThings(t *testing.T) {
	for asked, want := range map[string]string{
		"hooks: [response], meta: [scopes]": "scopes",
		"hooks: [log], meta: [subject]":     "a log record has no caller",
	} {
		d := newDir(t)
		d.write(d.put("m.wasm", abuse.Meta()) + ", name: m, " + asked)
		if _, err := transform.ReadManifest(d.manifest()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", asked, err)
		}
	}
}
