package uses_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/ops/opstest"
)

// mount is a mount of which one caller, named for it, is granted something, and nobody
// else is.
type mount struct{ path, engine, grant string }

func mounts() []mount {
	return []mount{
		{"secret", "kv2", `kv: {"shared": {}}`},
		{"team-kv", "kv2", `kv: {"team-kv:shared": {}}`},
		{"team/kv", "kv2", `kv: {"team/kv:shared": {}}`},
		{"legacy", "kv1", `kv: {"legacy:shared": {}}`},
		{"transit", "transit", `transit: {mcp: {}, signing: {}}`},
		{"transit2", "transit", `transit: {"transit2:mcp": {}, "transit2:signing": {}}`},
		{"database", "db", `db: {readonly: {}}`},
		{"brokers", "db", `db: {"brokers:readonly": {}}`},
		{"pki", "pki", `pki: {web: {}}`},
		{"pki2", "pki", `pki: {"pki2:web": {}}`},
	}
}

// caller is the subject of a mount.
func (m mount) caller() string { return "of-" + strings.ReplaceAll(m.path, "/", ".") }

// step is one operation on a mount: as a call, and as a request of Vault's API. MOUNT is
// the mount, and ${NAME} what an earlier step has saved.
type step struct {
	op, args           string
	method, path, body string
	save               string
	owned              bool // what it is done to is an earlier step's: that others have none is said in other ways
}

func kvSteps(v1 bool) []step {
	const p, at = `"path":"kv://MOUNT/shared/x"`, "shared/x"
	if v1 {
		return []step{
			{op: "kv.write", args: `{` + p + `,"data":{"in":"MOUNT"}}`, method: "PUT", path: at, body: `{"in":"MOUNT"}`},
			{op: "kv.read", args: `{` + p + `}`, method: "GET", path: at},
			{op: "kv.list", args: `{"prefix":"kv://MOUNT/shared"}`, method: "LIST", path: "shared"},
			{op: "kv.delete", args: `{` + p + `}`, method: "DELETE", path: at},
		}
	}
	return []step{
		{op: "kv.write", args: `{` + p + `,"data":{"in":"MOUNT"}}`, method: "PUT", path: "data/" + at, body: `{"data":{"in":"MOUNT"}}`},
		{op: "kv.read", args: `{` + p + `}`, method: "GET", path: "data/" + at},
		{op: "kv.patch", args: `{` + p + `,"data":{"more":"1"}}`, method: "PATCH", path: "data/" + at, body: `{"data":{"more":"1"}}`},
		{op: "kv.subkeys", args: `{` + p + `}`, method: "GET", path: "subkeys/" + at},
		{op: "kv.set_metadata", args: `{` + p + `,"max_versions":9}`, method: "PUT", path: "metadata/" + at, body: `{"max_versions":9}`},
		{op: "kv.metadata", args: `{` + p + `}`, method: "GET", path: "metadata/" + at},
		{op: "kv.list", args: `{"prefix":"kv://MOUNT/shared"}`, method: "LIST", path: "metadata/shared"},
		{op: "kv.delete", args: `{` + p + `}`, method: "DELETE", path: "data/" + at},
		{op: "kv.undelete", args: `{` + p + `,"versions":[1]}`, method: "PUT", path: "undelete/" + at, body: `{"versions":[1]}`},
		{op: "kv.destroy", args: `{` + p + `,"versions":[1]}`, method: "PUT", path: "destroy/" + at, body: `{"versions":[1]}`},
		{op: "kv.delete", args: `{` + p + `,"all":true}`, method: "DELETE", path: "metadata/" + at},
	}
}

func otherSteps() map[string][]step {
	const m = `"mount":"MOUNT",`
	return map[string][]step{
		"transit": {
			{op: "transit.encrypt", args: `{` + m + `"key":"mcp","plaintext":"aGk="}`, method: "PUT", path: "encrypt/mcp", body: `{"plaintext":"aGk="}`, save: "ciphertext"},
			{op: "transit.decrypt", args: `{` + m + `"key":"mcp","ciphertext":"${ciphertext}"}`, method: "PUT", path: "decrypt/mcp", body: `{"ciphertext":"${ciphertext}"}`},
			{op: "transit.rewrap", args: `{` + m + `"key":"mcp","ciphertext":"${ciphertext}"}`, method: "PUT", path: "rewrap/mcp", body: `{"ciphertext":"${ciphertext}"}`},
			{op: "transit.sign", args: `{` + m + `"key":"signing","input":"aGk="}`, method: "PUT", path: "sign/signing", body: `{"input":"aGk="}`, save: "signature"},
			{op: "transit.verify", args: `{` + m + `"key":"signing","input":"aGk=","signature":"${signature}"}`, method: "PUT", path: "verify/signing", body: `{"input":"aGk=","signature":"${signature}"}`},
			{op: "transit.hmac", args: `{` + m + `"key":"mcp","input":"aGk="}`, method: "PUT", path: "hmac/mcp", body: `{"input":"aGk="}`},
			{op: "transit.datakey", args: `{` + m + `"key":"mcp","type":"plaintext"}`, method: "PUT", path: "datakey/plaintext/mcp", body: `{}`},
			{op: "transit.public_key", args: `{` + m + `"key":"signing"}`, method: "GET", path: "keys/signing"},
		},
		"db": {
			{op: "db.issue_creds", args: `{` + m + `"role":"readonly"}`, method: "GET", path: "creds/readonly", save: "lease_id"},
			{op: "db.renew", args: `{"lease_id":"${lease_id}"}`, method: "PUT", path: "/sys/leases/renew", body: `{"lease_id":"${lease_id}"}`, owned: true},
			{op: "db.revoke", args: `{"lease_id":"${lease_id}"}`, method: "PUT", path: "/sys/leases/revoke", body: `{"lease_id":"${lease_id}"}`, owned: true},
		},
		"pki": {
			{op: "pki.issue", args: `{` + m + `"role":"web","common_name":"app.example.test"}`, method: "PUT", path: "issue/web", body: `{"common_name":"app.example.test"}`},
			{op: "pki.sign", args: `{` + m + `"role":"web","common_name":"app.example.test","csr":"` + opstest.CSR + `"}`, method: "PUT", path: "sign/web", body: `{"common_name":"app.example.test","csr":"` + opstest.CSR + `"}`},
		},
	}
}

func (m mount) steps() []step {
	if strings.HasPrefix(m.engine, "kv") {
		return kvSteps(m.engine == "kv1")
	}
	return otherSteps()[m.engine]
}

// severalMounts is a gateway with them all.
func severalMounts(t *testing.T) world {
	t.Helper()
	dsn := e2e.StartPostgres(t).DSN()
	v := e2e.StartVault(t, "--postgres", dsn)
	for _, r := range append(opstest.Static(dsn)[:3],
		[3]string{"PUT", "sys/mounts/team-kv", `{"type":"kv","options":{"version":"2"}}`}, [3]string{"PUT", "sys/mounts/team/kv", `{"type":"kv","options":{"version":"2"}}`},
		[3]string{"PUT", "sys/mounts/legacy", `{"type":"kv","options":{"version":"1"}}`},
		[3]string{"PUT", "sys/mounts/transit2", `{"type":"transit"}`}, [3]string{"PUT", "transit2/keys/mcp", `{}`}, [3]string{"PUT", "transit2/keys/signing", `{"type":"ed25519"}`},
		[3]string{"PUT", "sys/mounts/pki2", `{"type":"pki"}`}, [3]string{"PUT", "pki2/root" + "/generate/internal", `{"common_name":"second","key_type":"ec"}`},
		[3]string{"PUT", "pki2/roles/web", `{"allowed_domains":"example.test","allow_subdomains":true,"key_type":"ec","max_ttl":"1h"}`}) {
		if status, err := v.Send(t.Context(), r[0], r[1], r[2]); err != nil || status >= 300 {
			t.Fatalf("%s: %d %v", r[1], status, err)
		}
	}
	dir, data, keys := t.TempDir(), "version: 2\ngrants:\n  subjects:\n", []string{}
	for _, m := range mounts() {
		data += fmt.Sprintf("    %s: {%s}\n", m.caller(), m.grant)
		keys = append(keys, fmt.Sprintf("%q:%q", "key-"+m.caller(), m.caller()))
	}
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	g := e2e.StartGateway(t, v, "RATE_LIMIT_ENABLED=false", "POLICY_DIR="+dir, "POLICY_TIMEOUT=5s", "API_KEYS_JSON={"+strings.Join(keys, ",")+"}",
		"KV_MOUNTS=secret,team-kv,team/kv,legacy", "TRANSIT_MOUNTS=transit,transit2", "DATABASE_MOUNTS=database,brokers", "PKI_MOUNTS=pki,pki2")
	return world{v, g, ""}
}

// do does a step on a mount over a transport, and returns what came of it and how it was
// refused, empty when it was done.
func (w world) do(t *testing.T, transport string, m mount, s step, saved map[string]string) (map[string]any, string) {
	t.Helper()
	fill := func(text string) string {
		return os.Expand(strings.ReplaceAll(text, "MOUNT", m.path), func(name string) string { return saved[name] })
	}
	if transport != "vault" {
		return transports()[transport](t, w, catalogue(t).Get(s.op), fill(s.args))
	}
	path, below := strings.CutPrefix(s.path, "/")
	if !below {
		path = m.path + "/" + s.path
	}
	status, raw := w.send(t, s.method, "/v1/"+path, fill(s.body))
	out := map[string]any{}
	if len(raw) > 0 {
		out = decode(t, raw)
	}
	if data, ok := out["data"].(map[string]any); ok {
		for name, v := range data {
			out[name] = v
		}
	}
	switch {
	case status == http.StatusForbidden:
		return out, "forbidden"
	case status >= http.StatusBadRequest:
		return out, fmt.Sprint(status)
	}
	return out, ""
}

// TestGrantsOfMountsDoNotMix: on each of four KV mounts, one of them of version 1, and two
// each of transit, databases and certificates, its own caller does everything over every
// transport, and the callers of the engine's other mounts nothing.
func TestGrantsOfMountsDoNotMix(t *testing.T) {
	w := severalMounts(t)
	for _, transport := range []string{"rest", "mcp", "vault"} {
		for _, m := range mounts() {
			t.Run(transport+" "+m.path, func(t *testing.T) {
				saved := map[string]string{}
				for i, s := range m.steps() {
					for j, other := range mounts() {
						// Over REST everybody tries everything, elsewhere one after the other.
						if other.engine[:2] == m.engine[:2] && other != m && (transport == "rest" || (i+j)%2 == 0) {
							out, code := w.as("key-"+other.caller()).do(t, transport, m, s, saved)
							if code == "" || code != "forbidden" && !s.owned {
								t.Errorf("%s by the caller of %s: got %q %v", s.op, other.path, code, out)
							}
						}
					}
					out, code := w.as("key-"+m.caller()).do(t, transport, m, s, saved)
					if code != "" {
						t.Fatalf("%s: got %s %v", s.op, code, out)
					}
					if s.op == "kv.read" && !strings.Contains(fmt.Sprint(out), "in:"+m.path) {
						t.Errorf("read: got %v", out)
					}
					opstest.Call{Save: s.save}.Keep(saved, out)
				}
			})
		}
	}
}
