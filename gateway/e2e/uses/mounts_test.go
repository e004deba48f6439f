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
		{"database", "db", `db: {readonly: {}, rotated: {}}`},
		{"reports", "db", `db: {"reports:readonly": {}, "reports:rotated": {}}`},
		{"ssh", "ssh", `ssh: {otp: {}, ca: {}}`},
		{"ssh2", "ssh", `ssh: {"ssh2:otp": {}, "ssh2:ca": {}}`},
		{"pki", "pki", `pki: {web: {}}`},
		{"pki2", "pki", `pki: {"pki2:web": {}}`},
		{"totp", "totp", `totp: {login: {}}`},
		{"totp2", "totp", `totp: {"totp2:login": {}}`},
		{"brokers", "creds", `creds: {readonly: {}}`},
		{"brokers2", "creds", `creds: {"brokers2:readonly": {}}`},
	}
}

// caller is the subject of a mount.
func (m mount) caller() string { return "of-" + strings.ReplaceAll(m.path, "/", ".") }

// catalogued is a mount's engine as the catalogue has it.
func (m mount) catalogued() string { return strings.TrimRight(m.engine, "12") }

// others are the callers of the engine's other mounts.
func (m mount) others() (out []string) {
	for _, other := range mounts() {
		if other.catalogued() == m.catalogued() && other != m {
			out = append(out, "key-"+other.caller())
		}
	}
	return out
}

// secondMounts are the requests to Vault that make the second mount of each engine.
func secondMounts(dsn string) [][3]string {
	const creates = `"creation_statements":["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}'"]`
	out := [][3]string{
		{"PUT", "sys/mounts/team-kv", `{"type":"kv","options":{"version":"2"}}`},
		{"PUT", "sys/mounts/team/kv", `{"type":"kv","options":{"version":"2"}}`},
		{"PUT", "sys/mounts/legacy", `{"type":"kv","options":{"version":"1"}}`},
		{"PUT", "sys/mounts/transit2", `{"type":"transit"}`},
		{"PUT", "transit2/keys/mcp", `{}`},
		{"PUT", "transit2/keys/signing", `{"type":"ed25519"}`},
		{"PUT", "sys/mounts/ssh2", `{"type":"ssh"}`},
		{"PUT", "ssh2/config/ca", `{"generate_signing_key":true,"key_type":"ed25519"}`},
		{"PUT", "ssh2/roles/otp", `{"key_type":"otp","default_user":"dev","cidr_list":"0.0.0.0/0"}`},
		{"PUT", "ssh2/roles/ca", `{"key_type":"ca","default_user":"dev","allowed_users":"*","allow_user_certificates":true}`},
		{"PUT", "sys/mounts/pki2", `{"type":"pki"}`},
		{"PUT", "pki2/root" + "/generate/internal", `{"common_name":"second","key_type":"ec"}`},
		{"PUT", "pki2/roles/web", `{"allowed_domains":"example.test","allow_subdomains":true,"key_type":"ec","max_ttl":"1h"}`},
		{"PUT", "sys/mounts/totp2", `{"type":"totp"}`},
		{"PUT", "totp2/keys/login", `{"generate":true,"exported":false,"issuer":"dev","account_name":"agent"}`},
	}
	for _, path := range []string{"reports", "brokers2"} {
		out = append(out, [3]string{"PUT", "sys/mounts/" + path, `{"type":"database"}`},
			[3]string{"PUT", path + "/config/postgres", `{"plugin_name":"postgresql-database-plugin","allowed_roles":"*","connection_url":"` + dsn + `"}`},
			[3]string{"PUT", path + "/roles/readonly", `{"db_name":"postgres","default_ttl":"1h",` + creates + `}`})
	}
	return append(out,
		[3]string{"PUT", "reports/roles/maker", `{"db_name":"postgres","creation_statements":["CREATE ROLE rotated2 WITH LOGIN; CREATE ROLE \"{{name}}\" PASSWORD '{{password}}';"]}`},
		[3]string{"GET", "reports/creds/maker", ""},
		[3]string{"PUT", "reports/static-roles/rotated", `{"db_name":"postgres","username":"rotated2","rotation_period":"1h"}`})
}

// severalMounts is a gateway with them all.
func severalMounts(t *testing.T) world {
	t.Helper()
	dsn := e2e.StartPostgres(t).DSN()
	v := e2e.StartVault(t, "--postgres", dsn)
	for _, r := range append(opstest.Static(dsn), secondMounts(dsn)...) {
		if status, err := v.Send(t.Context(), r[0], r[1], r[2]); err != nil || status >= 300 {
			t.Fatalf("%s: %d %v", r[1], status, err)
		}
	}
	dir, data, keys, paths := t.TempDir(), "version: 2\ngrants:\n  subjects:\n", []string{}, map[string][]string{}
	for _, m := range mounts() {
		data += fmt.Sprintf("    %s: {%s}\n", m.caller(), m.grant)
		keys = append(keys, fmt.Sprintf("%q:%q", "key-"+m.caller(), m.caller()))
		paths[m.catalogued()] = append(paths[m.catalogued()], m.path)
	}
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"RATE_LIMIT_ENABLED=false", "POLICY_DIR=" + dir, "POLICY_TIMEOUT=5s", "API_KEYS_JSON={" + strings.Join(keys, ",") + "}"}
	for engine, all := range paths {
		name := map[string]string{"db": "DATABASE"}[engine]
		if name == "" {
			name = strings.ToUpper(engine)
		}
		env = append(env, name+"_MOUNTS="+strings.Join(all, ","))
	}
	return world{v, e2e.StartGateway(t, v, env...), ""}
}

// do does a step on a mount over a transport, and returns what came of it and how it was
// refused, empty when it was done.
func (w world) do(t *testing.T, transport string, m mount, s step, saved map[string]string) (out map[string]any, code string) {
	t.Helper()
	if transport != "vault" {
		out, code = transports()[transport](t, w, catalogue(t).Get(s.op), filled(s.args, m, saved))
		if results, _ := out["results"].([]any); code == "" && len(results) == 1 && s.op == "kv.read_many" {
			one, _ := results[0].(map[string]any)
			e, _ := one["error"].(map[string]any)
			return one, text(e["code"])
		}
		return out, code
	}
	path, below := strings.CutPrefix(s.path, "/")
	if !below {
		path = m.path + "/" + s.path
	}
	status, raw := w.send(t, s.method, "/v1/"+path, filled(s.body, m, saved))
	out = map[string]any{}
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
	case status == http.StatusNotFound && s.method == "LIST":
		return out, "" // nothing is on the list
	case status >= http.StatusBadRequest:
		return out, fmt.Sprint(status)
	}
	return out, ""
}

// filled is a text of a step with what it stands for.
func filled(text string, m mount, saved map[string]string) string {
	return os.Expand(strings.ReplaceAll(text, "MOUNT", m.path), func(name string) string { return saved[name] })
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// over reports whether a step is taken over a transport.
func (s step) over(transport string) bool {
	if transport == "vault" {
		return s.method != ""
	}
	return s.args != ""
}

// TestGrantsOfMountsDoNotMix: on each of four KV mounts, one of them of version 1, and two
// of every other engine, its own caller does everything over every transport, and the
// callers of the engine's other mounts nothing that is granted by name.
func TestGrantsOfMountsDoNotMix(t *testing.T) {
	w := severalMounts(t)
	for i, transport := range []string{"rest", "mcp", "vault"} {
		for _, m := range mounts() {
			t.Run(transport+" "+m.path, func(t *testing.T) {
				saved := map[string]string{"code": fmt.Sprintf("%06d", i), "ca": caOf(t, w, m)}
				for _, s := range steps(m.engine) {
					if s.over(transport) {
						w.take(t, transport, m, s, saved)
					}
				}
			})
		}
	}
}

// take takes a step on a mount: those who may not first, then its own caller.
func (w world) take(t *testing.T, transport string, m mount, s step, saved map[string]string) {
	t.Helper()
	has := filled(s.has, m, saved)
	for _, key := range m.others() {
		out, code := w.as(key).do(t, transport, m, s, saved)
		switch shown := strings.Contains(fmt.Sprint(out), has); {
		case s.open != "" && (code != "" || has != "" && shown == s.own):
			t.Errorf("%s with %s: got %q %v, want it open to all: %s", s.op, key, code, out, s.open)
		case s.open == "" && code != "forbidden" && (code == "" || !s.owned && !s.never):
			t.Errorf("%s with %s: got %q %v", s.op, key, code, out)
		}
	}
	out, code := w.as("key-"+m.caller()).do(t, transport, m, s, saved)
	switch {
	case s.never:
		if code != "invalid_request" {
			t.Errorf("%s: got %s %v, want the mount to have no such thing", s.op, code, out)
		}
		return
	case code != "":
		t.Fatalf("%s: got %s %v", s.op, code, out)
	case !strings.Contains(fmt.Sprint(out), has):
		t.Errorf("%s: got %v, want %s in it", s.op, out, has)
	}
	opstest.Call{Save: s.save}.Keep(saved, out)
}

// caOf is the middle of the public key or the certificate that what a mount signs is
// checked with, as Vault has it.
func caOf(t *testing.T, w world, m mount) string {
	t.Helper()
	path := map[string]string{"ssh": "/public_key", "pki": "/ca/pem"}[m.engine]
	if path == "" {
		return ""
	}
	_, raw := e2e.Do(t, http.MethodGet, w.vault.Addr+"/v1/"+m.path+path, "")
	key := strings.TrimSpace(string(raw))
	return strings.TrimSpace(key[len(key)/2 : len(key)/2+20])
}

// TestStepsAreComplete: no operation of an engine is forgotten, on a mount of any version
// and over any transport that has it.
func TestStepsAreComplete(t *testing.T) {
	taken := map[string]bool{}
	for _, m := range mounts() {
		for _, s := range steps(m.engine) {
			for _, transport := range []string{"rest", "vault"} {
				taken[transport+" "+m.engine+" "+s.op] = taken[transport+" "+m.engine+" "+s.op] || s.over(transport)
			}
		}
	}
	for _, o := range catalogue(t).All() {
		for _, m := range mounts() {
			if o.Mount == "" || o.Engine != m.catalogued() {
				continue
			}
			if transport := map[bool]string{true: "vault", false: "rest"}[o.VaultAPI]; !taken[transport+" "+m.engine+" "+o.Name] {
				t.Errorf("%s is not among the steps of %s over %s", o.Name, m.path, transport)
			}
		}
	}
}
