package ops_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops/opstest"
)

// Every operation works on the real thing, and its result is what its own schema
// says.
func TestEach(t *testing.T) {
	r, postgres := newDatabaseRig(t)
	addStaticRole(t, r, postgres)
	saved := map[string]string{"decision_id": "known"}
	for _, e := range opstest.Calls("app") {
		ok := t.Run(e.Op, func(t *testing.T) {
			out := r.must(t, e.Op, e.Arguments(saved))
			schema, err := r.catalogue.Get(e.Op).Out.Resolve(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(out); err != nil {
				t.Errorf("the result does not follow its schema: %v\n%v", err, out)
			}
			if w := fmt.Sprint(out["warnings"]); strings.Contains(w, "unrecognized") {
				t.Errorf("Vault does not know what was sent: %s", w)
			}
			if !strings.Contains(fmt.Sprint(out), e.Want) {
				t.Errorf("got %v, want %s in it", out, e.Want)
			}
			e.Keep(saved, out)
		})
		if !ok {
			return
		}
	}
}

// What the policy and the evidence see of a call holds no secret of it.
func TestNoSecretInValues(t *testing.T) {
	c := catalogue(t)
	more := []opstest.Call{
		{Op: "transit.encrypt", Args: `{"key":"mcp","items":[{"plaintext":"` + opstest.Marker + `","context":"` + opstest.Marker + `"}]}`},
		{Op: "transit.verify", Args: `{"key":"mcp","items":[{"input":"` + opstest.Marker + `","hmac":"x"}]}`},
		{Op: "db.revoke", Args: `{"lease_id":"database/creds/readonly/` + opstest.Marker + `"}`},
	}
	for _, e := range append(opstest.Calls("app"), more...) {
		args := e.Arguments(map[string]string{"lease_id": "database/creds/readonly/x", "decision_id": "known"})
		b, err := c.Bind(&op.Request{Op: e.Op, Args: []byte(args), Caller: caller("agent")})
		if err != nil {
			if strings.Contains(e.Args, "${") {
				continue // an earlier call's result is missing
			}
			t.Fatalf("%s: %v", e.Op, err)
		}
		values, err := b.Values()
		if err != nil || strings.Contains(string(values), opstest.Marker) {
			t.Errorf("%s: got %s %v, want no secret", e.Op, values, err)
		}
	}
}

// Before anything is sent, every name is checked.
func TestBadNames(t *testing.T) {
	r := newRig(t)
	before := vaultRequests(t, r)
	for _, f := range opstest.Fields() {
		for what, value := range opstest.BadNames() {
			if !f.Bad(value) {
				continue
			}
			t.Run(f.Op+" "+f.Name+" "+what, func(t *testing.T) {
				_, err := r.do(t.Context(), f.Op, strings.ReplaceAll(f.Args, "?", quote(value)))
				wantCode(t, err, call.InvalidRequest)
			})
		}
	}
	if after := vaultRequests(t, r); after != before {
		t.Errorf("got %d requests at Vault, want %d: none was to be sent", after, before)
	}
}
