package vaultpolicy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/vault"
	"portcullis/gateway/vaultpolicy"
)

func subject(t *testing.T) vaultpolicy.Subject {
	t.Helper()
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := call.ParsePath("mcp/agent")
	if err != nil {
		t.Fatal(err)
	}
	return vaultpolicy.Subject{
		Caller: &call.Caller{Subject: "agent", Prefix: prefix}, Catalogue: c,
		Granted: []policy.Named{
			{Engine: "kv", Name: "shared/config", Ops: []string{"kv.read", "kv.list"}},
			{Engine: "transit", Name: "mcp"},
			{Engine: "transit", Name: "signing", Ops: []string{"transit.sign", "transit.verify", "transit.public_key"}},
			{Engine: "transit", Name: "absent"},
			{Engine: "db", Name: "readonly"},
			{Engine: "db", Name: "rotated", Ops: []string{"db.static_creds"}},
			{Engine: "ssh", Name: "otp", Ops: []string{"ssh.otp"}},
			{Engine: "ssh", Name: "ca", Ops: []string{"ssh.sign"}},
		},
	}
}

// attempt is a call of an operation. The ids of leases are filled in.
type attempt struct{ op, args string }

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXvXBeJ0fPzJYVvW4VvgHnGZrKp8nGZDcQ7jPjA4QxZ"

// allowed has a call of every operation that the policy must let through.
func allowed() []attempt {
	return []attempt{
		{"kv.write", `{"path":"mcp/agent/app","data":{"a":1}}`},
		{"kv.write", `{"path":"mcp/agent/app","data":{"a":2}}`},
		{"kv.read", `{"path":"mcp/agent/app"}`},
		{"kv.read", `{"path":"shared/config/x"}`},
		{"kv.patch", `{"path":"mcp/agent/app","data":{"b":1}}`},
		{"kv.list", `{"prefix":"mcp/agent"}`},
		{"kv.list", `{"prefix":"mcp/agent/deep/"}`},
		{"kv.metadata", `{"path":"mcp/agent/app"}`},
		{"kv.subkeys", `{"path":"mcp/agent/app"}`},
		{"kv.set_metadata", `{"path":"mcp/agent/app","custom_metadata":{"owner":"a"}}`},
		{"kv.set_metadata", `{"path":"mcp/agent/new","max_versions":3}`},
		{"kv.delete", `{"path":"mcp/agent/new","all":true}`},
		{"kv.delete", `{"path":"mcp/agent/app"}`},
		{"kv.undelete", `{"path":"mcp/agent/app","versions":[3]}`},
		{"kv.destroy", `{"path":"mcp/agent/app","versions":[1]}`},
		{"transit.encrypt", `{"key":"mcp","plaintext":"aGk="}`},
		{"transit.decrypt", `{"key":"mcp","ciphertext":"${ciphertext}"}`},
		{"transit.rewrap", `{"key":"mcp","ciphertext":"${ciphertext}"}`},
		{"transit.sign", `{"key":"signing","input":"aGk="}`},
		{"transit.verify", `{"key":"signing","input":"aGk=","signature":"vault:v1:aGk="}`},
		{"transit.hmac", `{"key":"mcp","input":"aGk="}`},
		{"transit.public_key", `{"key":"signing"}`},
		{"transit.datakey", `{"key":"mcp"}`},
		{"transit.datakey", `{"key":"mcp","type":"plaintext"}`},
		{"transit.random", `{}`},
		{"transit.hash", `{"input":"aGk="}`},
		{"db.static_creds", `{"role":"rotated"}`},
		{"ssh.otp", `{"role":"otp","ip":"127.0.0.1"}`},
		{"ssh.sign", `{"role":"ca","public_key":"` + key + `"}`},
		{"ssh.public_key", `{}`},
		{"ssh.lookup", `{"ip":"127.0.0.1"}`},
	}
}

// refused has calls that Vault itself must refuse.
func refused() []attempt {
	list := []attempt{
		{"kv.write", `{"path":"mcp/agent2/app","data":{}}`},
		{"kv.write", `{"path":"shared/config/x","data":{}}`},
		{"kv.patch", `{"path":"mcp/other/app","data":{}}`},
		{"kv.set_metadata", `{"path":"mcp/agent2/app","max_versions":3}`},
		{"kv.delete", `{"path":"shared/config/x","all":true}`},
		{"transit.public_key", `{"key":"other"}`},
		{"kv.list", `{"prefix":"mcp"}`},
		{"kv.list", `{"prefix":""}`},
		{"kv.undelete", `{"path":"shared/config/x","versions":[1]}`},
		{"kv.destroy", `{"path":"shared/config/x","versions":[1]}`},
		{"transit.encrypt", `{"key":"absent","plaintext":"aGk="}`}, // would make the key
		{"transit.encrypt", `{"key":"signing","plaintext":"aGk="}`},
		{"transit.decrypt", `{"key":"signing","ciphertext":"vault:v1:aGk="}`},
		{"transit.rewrap", `{"key":"other","ciphertext":"vault:v1:aGk="}`},
		{"transit.sign", `{"key":"other","input":"aGk="}`},
		{"transit.verify", `{"key":"other","input":"aGk=","signature":"vault:v1:aGk="}`},
		{"transit.hmac", `{"key":"signing","input":"aGk="}`},
		{"transit.datakey", `{"key":"signing"}`},
		{"db.issue_creds", `{"role":"rotated"}`},
		{"db.issue_creds", `{"role":"other"}`},
		{"db.static_creds", `{"role":"other"}`},
		{"ssh.otp", `{"role":"ca","ip":"127.0.0.1"}`},
		{"ssh.sign", `{"role":"otp","public_key":"` + key + `"}`},
	}
	for _, name := range []string{"kv.read", "kv.delete", "kv.metadata", "kv.subkeys"} {
		list = append(list, attempt{name, `{"path":"mcp/agent2/app"}`}, attempt{name, `{"path":"mcp/.leases/subjects/agent/x"}`})
	}
	return list
}

// An operation that is in neither table, or has nothing to refuse, fails.
func TestTablesAreComplete(t *testing.T) {
	raw := []string{"db.issue_creds", "db.renew", "db.revoke"} // see TestLeases
	unnamed := []string{"transit.random", "transit.hash", "ssh.public_key", "ssh.lookup", "db.renew", "db.revoke"}
	has := func(list []attempt, name string) bool {
		return slices.ContainsFunc(list, func(a attempt) bool { return a.op == name })
	}
	for _, o := range subject(t).Catalogue.All() {
		if len(o.Needs) == 0 {
			continue
		}
		if !has(allowed(), o.Name) && !slices.Contains(raw, o.Name) {
			t.Errorf("%s is not among the allowed", o.Name)
		}
		if !has(refused(), o.Name) && !slices.Contains(unnamed, o.Name) {
			t.Errorf("%s is not among the refused", o.Name)
		}
	}
}

// world is a Vault with everything that the tables name, and a client that has a
// token of exactly the subject's policy.
type world struct {
	vault   *stack.Vault
	client  *vault.Client
	subject vaultpolicy.Subject
	token   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	p, err := stack.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	w := &world{subject: subject(t)}
	if w.vault, err = stack.StartVault(t.Context(), root, t.TempDir(), "--postgres", p.DSN()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.vault.Stop() })
	w.prepare(t)
	w.client, err = vault.New(vault.Config{Addr: w.vault.Addr, Login: vault.Login{Token: call.Secret(w.token)}, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) prepare(t *testing.T) {
	t.Helper()
	quoted, err := json.Marshal(map[string]string{"policy": w.subject.Rules().HCL()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][3]string{
		{"PUT", "sys/policies/acl/exact", string(quoted)},
		{"PUT", "secret/data/shared/config/x", `{"data":{"a":1}}`},
		{"PUT", "secret/data/mcp/agent/deep/x", `{"data":{"a":1}}`},
		{"PUT", "secret/data/mcp/agent2/app", `{"data":{"a":1}}`},
		{"PUT", "transit/keys/other", `{}`},
		{"PUT", "database/roles/maker", `{"db_name":"postgres","creation_statements":["CREATE ROLE rotated WITH LOGIN; CREATE ROLE \"{{name}}\" PASSWORD '{{password}}';"]}`},
		{"GET", "database/creds/maker", ""},
		{"PUT", "database/static-roles/rotated", `{"db_name":"postgres","username":"rotated","rotation_period":"1h"}`},
	} {
		if status, body := w.send(t, w.vault.Token, r[0], r[1], r[2]); status >= 300 {
			t.Fatalf("%s: %d %v", r[1], status, body)
		}
	}
	_, reply := w.send(t, w.vault.Token, "PUT", "auth/token/create", `{"policies":["exact"],"no_default_policy":true,"ttl":"10m"}`)
	auth, _ := reply["auth"].(map[string]any)
	w.token, _ = auth["client_token"].(string)
}

// send sends a request to Vault with a token.
func (w *world) send(t *testing.T, token, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.vault.Addr+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var reply map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&reply) // not every answer has a body
	return resp.StatusCode, reply
}

// run runs an operation with a grant that any decision could have given: what is
// refused, Vault refuses.
func (w *world) run(ctx context.Context, a attempt) (any, error) {
	r := &op.Request{Op: a.op, Args: []byte(a.args), Caller: w.subject.Caller, Absolute: true}
	b, err := w.subject.Catalogue.Bind(r)
	if err != nil {
		return nil, err
	}
	s, err := w.client.Open(ctx, call.Mint(w.subject.Caller, call.Terms{Op: a.op, Resource: b.Resource}))
	if err != nil {
		return nil, err
	}
	return b.Run(ctx, s)
}

func TestExactPolicy(t *testing.T) {
	w := newWorld(t)
	_, reply := w.send(t, w.token, "PUT", "transit/encrypt/mcp", `{"plaintext":"aGk="}`)
	data, _ := reply["data"].(map[string]any)
	for _, a := range allowed() {
		a.args = strings.ReplaceAll(a.args, "${ciphertext}", fmt.Sprint(data["ciphertext"]))
		if _, err := w.run(t.Context(), a); err != nil {
			t.Errorf("%s %s: got %v, want it allowed", a.op, a.args, err)
		}
	}
	for _, a := range refused() {
		if _, err := w.run(t.Context(), a); !call.Is(err, call.Forbidden) {
			t.Errorf("%s %s: got %v, want Vault to refuse it", a.op, a.args, err)
		}
	}
}

// Leases are noted with the gateway's own token, so what the subject's may do is
// tried without the gateway.
func TestLeases(t *testing.T) {
	w := newWorld(t)
	_, reply := w.send(t, w.token, "GET", "database/creds/readonly", "")
	lease := fmt.Sprintf(`{"lease_id":%q}`, reply["lease_id"])
	for _, path := range []string{"sys/leases/renew", "sys/leases/revoke"} {
		if status, body := w.send(t, w.token, "PUT", path, lease); status >= 300 {
			t.Errorf("%s: got %d %v, want it allowed", path, status, body)
		}
	}
	for _, r := range [][3]string{
		{"GET", "database/creds/other", ""},
		{"PUT", "sys/leases/lookup", lease},
		{"PUT", "sys/leases/revoke-prefix/database/creds", ""},
		{"GET", "sys/mounts", ""},
		{"PUT", "auth/token/create", "{}"},
		{"GET", "transit/keys/other", ""},
		{"GET", "transit/export/encryption-key/mcp", ""},
		{"PUT", "transit/keys/mcp/config", "{}"},
		{"PUT", "transit/keys/new", "{}"},
		{"GET", "ssh/config/ca", ""},
		{"GET", "database/config/postgres", ""},
		{"GET", "sys/policies/acl/exact", ""},
	} {
		if status, _ := w.send(t, w.token, r[0], r[1], r[2]); status != http.StatusForbidden {
			t.Errorf("%s %s: got %d, want 403", r[0], r[1], status)
		}
	}
}

// Who holds no role has no business with leases; who may only read writes nothing.
func TestNarrow(t *testing.T) {
	s := subject(t)
	s.Granted = nil
	if hcl := s.Rules().HCL(); strings.Contains(hcl, "leases") || strings.Contains(hcl, "database") {
		t.Errorf("got %s", hcl)
	}
	s.Granted = []policy.Named{{Engine: "db", Name: "readonly", Ops: []string{"db.issue_creds", "db.renew"}}, {Engine: "ssh", Name: "otp"}}
	if hcl := s.Rules().HCL(); !strings.Contains(hcl, "sys/leases/renew") || strings.Contains(hcl, "sys/leases/revoke") {
		t.Errorf("got %s, want leases renewed but not revoked", hcl)
	}
	s = subject(t)
	s.Callable = func(o *op.Op) bool { return o.ReadOnly() }
	if hcl := s.Rules().HCL(); strings.Contains(hcl, `"create"`) || strings.Contains(hcl, "encrypt") || strings.Contains(hcl, "leases") {
		t.Errorf("got %s", hcl)
	}
}

// An operator writes the policy and gets a token of it.
func TestOperator(t *testing.T) {
	w := newWorld(t)
	o, err := vaultpolicy.NewOperator(w.vault.Addr, "", call.Secret(w.vault.Token))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Write(t.Context(), "mcp-agent-agent", w.subject.Rules().HCL()); err != nil {
		t.Fatal(err)
	}
	token, err := o.Token(t.Context(), "agent", []string{"mcp-agent-agent"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"secret/data/shared/config/x": 200, "secret/data/mcp/agent2/app": 403} {
		if status, body := w.send(t, token.Reveal(), "GET", path, ""); status != want {
			t.Errorf("%s: got %d %v, want %d", path, status, body, want)
		}
	}
	if _, err := vaultpolicy.NewOperator(w.vault.Addr, "", ""); err == nil {
		t.Error("an operator without a token is accepted")
	}
}

// What one credential may beyond another, and whether it may all that the other may.
func TestBeyond(t *testing.T) {
	base := vaultpolicy.Rules{"a": {"read": true}, "b/*": {"read": true, "update": true}}
	more := vaultpolicy.Rules{"a": {"read": true, "list": true}, "b/*": {"read": true, "update": true}, "c": {"read": true}}
	if got, within := more.Beyond(base); !within || got.HCL() != (vaultpolicy.Rules{"a": {"list": true}, "c": {"read": true}}).HCL() {
		t.Errorf("more beyond base: got %v, %v", got, within)
	}
	if got, within := base.Beyond(more); within || len(got) != 0 {
		t.Errorf("base beyond more: got %v, %v", got, within)
	}
	if got, within := base.Beyond(base); !within || len(got) != 0 {
		t.Errorf("base beyond itself: got %v, %v", got, within)
	}
}

func ExampleRules_HCL() {
	r := vaultpolicy.Rules{"transit/encrypt/mcp": {"update": true}}
	fmt.Print(r.HCL())
	// Output:
	// path "transit/encrypt/mcp" {
	//   capabilities = ["update"]
	// }
}
