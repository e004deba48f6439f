package ops_test

import (
	"os"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// marker is in every secret that a test sends; it may not come back where secrets
// do not belong.
const marker = "s3cr3t-marker"

// each has a call of every operation, in an order in which they work. ${NAME}
// stands for what an earlier one has returned.
func each() []struct{ op, args, save string } {
	return []struct{ op, args, save string }{
		{"self.whoami", `{}`, ""},
		{"kv.write", `{"path":"app","data":{"password":"` + marker + `"},"cas":0}`, ""},
		{"kv.read", `{"path":"app","version":1}`, ""},
		{"kv.patch", `{"path":"app","data":{"user":"` + marker + `"},"cas":1}`, ""},
		{"kv.list", `{}`, ""},
		{"kv.metadata", `{"path":"app"}`, ""},
		{"kv.subkeys", `{"path":"app","depth":1}`, ""},
		{"kv.delete", `{"path":"app"}`, ""},
		{"kv.undelete", `{"path":"app","versions":[2]}`, ""},
		{"kv.destroy", `{"path":"app","versions":[1]}`, ""},
		{"transit.encrypt", `{"key":"mcp","plaintext":"` + marker + `","encoding":"text"}`, "ciphertext"},
		{"transit.decrypt", `{"key":"mcp","ciphertext":"${ciphertext}","encoding":"text"}`, ""},
		{"transit.rewrap", `{"key":"mcp","ciphertext":"${ciphertext}"}`, ""},
		{"transit.sign", `{"key":"signing","input":"` + marker + `","encoding":"text"}`, "signature"},
		{"transit.verify", `{"key":"signing","input":"` + marker + `","encoding":"text","signature":"${signature}"}`, ""},
		{"transit.hmac", `{"key":"mcp","input":"` + marker + `","encoding":"text"}`, ""},
		{"transit.datakey", `{"key":"mcp","type":"plaintext"}`, ""},
		{"transit.random", `{"bytes":16}`, ""},
		{"transit.hash", `{"input":"` + marker + `","encoding":"text"}`, ""},
		{"db.issue_creds", `{"role":"readonly"}`, "lease_id"},
		{"db.static_creds", `{"role":"rotated"}`, ""},
		{"db.leases", `{}`, ""},
		{"db.renew", `{"lease_id":"${lease_id}","increment":120}`, ""},
		{"db.revoke", `{"lease_id":"${lease_id}"}`, ""},
		{"ssh.otp", `{"role":"otp","ip":"127.0.0.1","username":"dev"}`, ""},
		{"ssh.sign", `{"role":"ca","public_key":"` + userKey + `","valid_principals":"dev"}`, ""},
		{"ssh.public_key", `{}`, ""},
	}
}

// userKey is a public key whose private half nobody has.
const userKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXvXBeJ0fPzJYVvW4VvgHnGZrKp8nGZDcQ7jPjA4QxZ"

// An operation that nobody calls here fails the test.
func TestEachIsComplete(t *testing.T) {
	called := map[string]bool{}
	for _, e := range each() {
		called[e.op] = true
	}
	for _, o := range catalogue(t).All() {
		if !called[o.Name] {
			t.Errorf("%s has no call in the table", o.Name)
		}
		delete(called, o.Name)
	}
	for name := range called {
		t.Errorf("%s is called but does not exist", name)
	}
}

// Every operation works on the real thing, and its result is what its own schema
// says.
func TestEach(t *testing.T) {
	r, _ := newDatabaseRig(t)
	addStaticRole(t, r)
	saved := map[string]string{}
	for _, e := range each() {
		ok := t.Run(e.op, func(t *testing.T) {
			args := os.Expand(e.args, func(name string) string { return saved[name] })
			out := r.must(t, e.op, args)
			schema, err := r.catalogue.Get(e.op).Out.Resolve(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(out); err != nil {
				t.Errorf("the result does not follow its schema: %v\n%v", err, out)
			}
			if e.save != "" {
				saved[e.save], _ = out[e.save].(string)
			}
		})
		if !ok {
			return
		}
	}
}

// What the policy and the evidence see of a call holds no secret of it.
func TestNoSecretInValues(t *testing.T) {
	c := catalogue(t)
	more := []struct{ op, args, save string }{
		{"transit.encrypt", `{"key":"mcp","items":[{"plaintext":"` + marker + `","context":"` + marker + `"}]}`, ""},
		{"transit.verify", `{"key":"mcp","items":[{"input":"` + marker + `","hmac":"x"}]}`, ""},
		{"db.revoke", `{"lease_id":"database/creds/readonly/` + marker + `"}`, ""},
	}
	for _, e := range append(each(), more...) {
		if strings.Contains(e.args, "${lease_id}") {
			continue // not a lease id yet
		}
		b, err := c.Bind(&op.Request{Op: e.op, Args: []byte(e.args), Caller: caller("agent")})
		if err != nil {
			t.Fatalf("%s: %v", e.op, err)
		}
		values, err := b.Values()
		if err != nil || strings.Contains(string(values), marker) {
			t.Errorf("%s: got %s %v, want no secret", e.op, values, err)
		}
	}
}

// Before anything is sent, every name is checked.
func TestBadNames(t *testing.T) {
	r := newRig(t)
	before := vaultRequests(t, r)
	for _, f := range nameFields() {
		for what, value := range badNames() {
			if value == "" && f.empty || value == "a/b" && f.path {
				continue
			}
			t.Run(f.op+" "+f.field+" "+what, func(t *testing.T) {
				_, err := r.do(t.Context(), f.op, strings.ReplaceAll(f.args, "?", quote(value)))
				wantCode(t, err, call.InvalidRequest)
			})
		}
	}
	if after := vaultRequests(t, r); after != before {
		t.Errorf("got %d requests at Vault, want %d: none was to be sent", after, before)
	}
}

type nameField struct {
	op, field, args string
	path            bool // slashes are fine
	empty           bool // empty is fine
}

func nameFields() []nameField {
	fields := []nameField{
		{"kv.write", "path", `{"path":?,"data":{}}`, true, false},
		{"kv.patch", "path", `{"path":?,"data":{}}`, true, false},
		{"kv.undelete", "path", `{"path":?,"versions":[1]}`, true, false},
		{"kv.destroy", "path", `{"path":?,"versions":[1]}`, true, false},
		{"kv.list", "prefix", `{"prefix":?}`, true, true},
		{"transit.encrypt", "key", `{"key":?,"plaintext":"aGk="}`, false, false},
		{"transit.decrypt", "key", `{"key":?,"ciphertext":"vault:v1:x"}`, false, false},
		{"transit.rewrap", "key", `{"key":?,"ciphertext":"vault:v1:x"}`, false, false},
		{"transit.sign", "key", `{"key":?,"input":"aGk="}`, false, false},
		{"transit.verify", "key", `{"key":?,"input":"aGk=","signature":"vault:v1:x"}`, false, false},
		{"transit.hmac", "key", `{"key":?,"input":"aGk="}`, false, false},
		{"transit.datakey", "key", `{"key":?}`, false, false},
		{"transit.hash", "algorithm", `{"input":"aGk=","algorithm":?}`, false, false},
		{"db.issue_creds", "role", `{"role":?}`, false, false},
		{"db.static_creds", "role", `{"role":?}`, false, false},
		{"db.renew", "lease_id", `{"lease_id":?}`, true, false},
		{"db.revoke", "lease_id", `{"lease_id":?}`, true, false},
		{"ssh.otp", "role", `{"role":?,"ip":"127.0.0.1"}`, false, false},
		{"ssh.otp", "ip", `{"role":"otp","ip":?}`, false, false},
		{"ssh.otp", "username", `{"role":"otp","ip":"127.0.0.1","username":?}`, false, false},
		{"ssh.sign", "role", `{"role":?,"public_key":"x"}`, false, false},
		{"ssh.sign", "valid_principals", `{"role":"ca","public_key":"x","valid_principals":?}`, false, false},
		{"ssh.sign", "key_id", `{"role":"ca","public_key":"x","key_id":?}`, false, false},
		{"ssh.sign", "extensions", `{"role":"ca","public_key":"x","extensions":{?:""}}`, false, false},
		{"ssh.sign", "critical_options", `{"role":"ca","public_key":"x","critical_options":{?:""}}`, false, false},
	}
	for _, name := range []string{"kv.read", "kv.delete", "kv.metadata", "kv.subkeys"} {
		fields = append(fields, nameField{name, "path", `{"path":?}`, true, false})
	}
	return fields
}

func badNames() map[string]string {
	return map[string]string{
		"empty": "", "slash": "a/b", "dot": ".", "dots": "..", "up": "../x", "up inside": "a/../../../sys/mounts",
		"double slash": "a//b", "absolute": "/a", "zero byte": "a\x00b", "newline": "a\nb", "escape": "a\x1bb",
		"long": strings.Repeat("a", 10_000), "encoded": "a%2fb", "query": "a?b", "fragment": "a#b", "space": " a",
	}
}
