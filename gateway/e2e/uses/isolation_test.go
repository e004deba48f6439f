package uses_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/ops/opstest"
)

// policyDir grants agent_api and its twin the same, and a stranger nothing.
func policyDir(t *testing.T) string {
	t.Helper()
	const granted = `{
		"transit": {"mcp": {}, "signing": {}},
		"db": {"readonly": {}, "rotated": {}},
		"pki": {"web": {}}, "totp": {"login": {}}, "creds": {"readonly": {}},
		"ssh": {"otp": {}, "ca": {}}}`
	dir := t.TempDir()
	data := `{"grants": {"subjects": {"agent_api": ` + granted + `, "twin": ` + granted + `}}}`
	if err := os.WriteFile(filepath.Join(dir, "data.json"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// No name that is not clean gets further than the gateway, over any transport.
func TestBadNames(t *testing.T) {
	w, c := newWorld(t), catalogue(t)
	before := len(e2e.VaultRequests(t, w.vault))
	for name, send := range transports() {
		for _, f := range opstest.Fields() {
			for what, value := range opstest.BadNames() {
				if !f.Bad(value) || inPath(c.Get(f.Op).Path, f.Name) && value == "" && name == "rest" {
					continue // a path without its name is another route
				}
				quoted, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				out, code := send(t, w, c.Get(f.Op), strings.ReplaceAll(f.Args, "?", string(quoted)))
				if code != "invalid_request" && code != "-32602" {
					t.Errorf("%s over %s, %s %s: got %q %v, want invalid_request", f.Op, name, f.Name, what, code, out)
				}
			}
		}
	}
	if after := len(e2e.VaultRequests(t, w.vault)); after != before {
		t.Errorf("%d requests reached Vault, want none", after-before)
	}
}

// inPath reports whether an argument is the parameter of a route.
func inPath(route, name string) bool {
	return strings.Contains(route, ":"+name) || strings.Contains(route, "*"+name)
}

// What belongs to another caller looks exactly like what is not there.
func TestOthersLookAbsent(t *testing.T) {
	w, c := newWorld(t), catalogue(t)
	for name, send := range transports() {
		mine := w.as(e2e.Key)
		if out, code := send(t, mine, c.Get("kv.write"), `{"path":"mine","data":{"a":1}}`); code != "" {
			t.Fatalf("%s %v", code, out)
		}
		lease, _ := send(t, mine, c.Get("db.issue_creds"), `{"role":"readonly"}`)
		for _, tt := range []struct{ key, op, args, others, absent string }{
			{"twin-key", "kv.read", `{"path":"?"}`, "mine", "nothing"},
			{"twin-key", "kv.metadata", `{"path":"?"}`, "mine", "nothing"},
			{"twin-key", "db.renew", `{"lease_id":"?"}`, fmt.Sprint(lease["lease_id"]), "database/creds/readonly/AAAAAAAAAAAAAAAAAAAAAAAA"},
			{"twin-key", "db.revoke", `{"lease_id":"?"}`, fmt.Sprint(lease["lease_id"]), "database/creds/readonly/AAAAAAAAAAAAAAAAAAAAAAAA"},
			{"stranger-key", "db.revoke", `{"lease_id":"?"}`, fmt.Sprint(lease["lease_id"]), "database/creds/readonly/AAAAAAAAAAAAAAAAAAAAAAAA"},
			{"stranger-key", "transit.encrypt", `{"key":"?","plaintext":"aGk="}`, "mcp", "absent"},
			{"stranger-key", "transit.verify", `{"key":"?","input":"aGk=","signature":"vault:v1:aGk="}`, "signing", "absent"},
			{"stranger-key", "db.issue_creds", `{"role":"?"}`, "readonly", "absent"},
			{"stranger-key", "db.static_creds", `{"role":"?"}`, "rotated", "absent"},
			{"stranger-key", "ssh.otp", `{"role":"?","ip":"127.0.0.1"}`, "otp", "absent"},
			{"stranger-key", "ssh.sign", `{"role":"?","public_key":"` + opstest.PublicKey + `"}`, "ca", "absent"},
		} {
			o := c.Get(tt.op)
			others, code := send(t, w.as(tt.key), o, strings.ReplaceAll(tt.args, "?", tt.others))
			absent, _ := send(t, w.as(tt.key), o, strings.ReplaceAll(tt.args, "?", tt.absent))
			for _, e := range []map[string]any{others, absent} {
				delete(e, "request_id")
				delete(e, "decision_id")
			}
			if code == "" || fmt.Sprint(others) != fmt.Sprint(absent) {
				t.Errorf("%s over %s: got %v for another's and %v for what is not there", tt.op, name, others, absent)
			}
		}
		if out, code := send(t, mine, c.Get("db.revoke"), fmt.Sprintf(`{"lease_id":%q}`, lease["lease_id"])); code != "" {
			t.Errorf("over %s the owner is refused: %s %v", name, code, out)
		}
	}
}
