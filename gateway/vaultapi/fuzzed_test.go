package vaultapi_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// fuzzed is how many requests are made up; make fuzz asks for more.
var fuzzed = flag.Int("requests", 600, "requests that are made up and sent over Vault's API")

// background are the requests of the gateway's own. Own are those that the policy and
// the prefix let the caller make.
var (
	background = regexp.MustCompile(`^(auth/token/lookup-self|sys/internal/ui/mounts/.*|secret/(data|metadata)/mcp/\.leases(/.*)?|auth/token/renew-self)$`)
	own        = regexp.MustCompile(`^(secret/(data|metadata|delete|undelete|destroy|subkeys)/mcp/agent(/.*)?|legacy/mcp/agent(/.*)?` +
		`|team-kv/(data|metadata|delete|undelete|destroy|subkeys)/(shared|mcp/agent)(/.*)?` +
		`|transit/(keys|encrypt|decrypt|rewrap|sign|verify|hmac|datakey/\w+)/(mcp|signing)(/[\w-]+)?|transit/(random|hash)(/.*)?` +
		`|(database|brokers)/creds/readonly|(pki/(issue|sign)/web|pki/(cert/(ca_chain|crl)|revoke-with-key)|totp/code/login)|sys/wrapping/(unwrap|rewrap)|ssh/(lookup|creds/otp|sign/ca|public_key)|sys/leases/(renew|revoke))$`)
)

// Whatever is asked for over Vault's API, Vault hears only of what the caller was allowed.
func TestMadeUpRequests(t *testing.T) {
	w := newWorld(t, nil)
	r := rand.New(rand.NewPCG(1, 2))
	before := len(w.vault.Audit())
	for range *fuzzed {
		method, path, body, headers := madeUp(r)
		a := w.send(t, method, path, agentKey, body, headers...)
		if a.status >= 500 && a.status != 503 {
			t.Errorf("%s %s: got %d %v", method, path, a.status, a.body)
		}
		if strings.Contains(fmt.Sprint(a.body, a.header), w.vault.Token) {
			t.Fatalf("%s %s: the answer has a token of Vault's", method, path)
		}
	}
	for _, e := range w.vault.Audit()[before:] {
		if p := strings.Trim(e.Request.Path, "/"); !background.MatchString(p) && !own.MatchString(p) {
			t.Errorf("Vault was asked for %s", e.Request.Path)
		}
	}
}

// What is in no table does not reach Vault at all.
func TestOutsideTheTable(t *testing.T) {
	w := newWorld(t, nil)
	before := len(w.vault.Audit())
	for _, path := range []string{
		"sys/policies/acl/x", "sys/mounts/new", "sys/raw/x", "sys/seal", "sys/audit", "sys/auth", "sys/remount", "sys/tools/random", "sys/storage/raft/snapshot",
		"sys/wrapping/wrap", "cubbyhole/wrapinfo", "sys/events/subscriptions", "pki/certs/revoked", "pki/cert/raw", "ssh/verify", "ssh/config/zeroaddress", "sys/leases/revoke-prefix/database", "sys/leases/revoke-force/database", "sys/host-info", "sys/config/cors", "sys/generate-root/attempt",
		"identity/entity", "cubbyhole/x", "auth/token/create-orphan", "auth/token/roles/x", "auth/token/lookup", "auth/token/accessors", "auth/approle/role/x", "auth/userpass/login/x",
		"secret/config", "secret/data", "transit/keys", "transit/keys/mcp/config", "transit/keys/mcp/rotate", "transit/export/encryption-key/mcp", "transit/backup/mcp", "transit/cache-config",
		"database/config/postgres", "database/roles/readonly", "database/rotate-root/postgres", "ssh/roles/ca", "ssh/issue/ca", "nowhere/x", "secretx/data/mcp/agent/x", "v1/secret/data/mcp/agent/x",
	} {
		for _, method := range []string{"GET", "LIST", "PUT", "POST", "PATCH", "DELETE"} {
			if a := w.send(t, method, path, agentKey, `{"x":"y"}`); a.status < 400 || a.status > 405 || a.body["errors"] == nil {
				t.Errorf("%s %s: got %d %v", method, path, a.status, a.body)
			}
		}
	}
	for _, e := range w.vault.Audit()[before:] {
		if !background.MatchString(strings.Trim(e.Request.Path, "/")) {
			t.Errorf("Vault was asked for %s", e.Request.Path)
		}
	}
}

// madeUp is a request of pieces that matter somewhere.
func madeUp(r *rand.Rand) (method, path, body string, headers []string) {
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	pieces := []string{
		"secret", "team-kv", "legacy", "transit", "database", "ssh", "sys", "auth", "identity", "cubbyhole", "data", "metadata", "delete", "undelete", "destroy", "subkeys", "config",
		"mcp", "agent", "other", "shared", ".leases", "x", "creds", "readonly", "encrypt", "decrypt", "keys", "export", "sign", "ca", "otp", "random", "16", "hash", "token", "create", "lookup-self",
		"leases", "renew", "revoke", "policies", "acl", "mounts", "wrapping", "unwrap", "rewrap", "response", "lookup", "pki", "certs", "events", "subscribe", "kv*", "internal", "ui", "raw", "%2e%2e", "..", ".", "", "%2F", "a%2Fb", "%00", "%25", "a:b", "team-kv:shared", "+", "*", "%3F", "{subject}",
		"%252e%252e", "%252F", "%c0%ae%c0%ae", "%c0%af", "%e0%80%af", "..;", "data;x=1", ";", ".;", "%2e", "..%2Fsys%2Fseal", "%5c..", "\\", "%0a", "%0d%0aX-Vault-Token:%20root", "%09", "%E2%80%AE", "Secret", "SYS", "v1", "%76%31", "secret%2Fdata", "secret/", "/secret",
	}
	n := 1 + r.IntN(6)
	parts := make([]string, n)
	for i := range parts {
		parts[i] = one(pieces...)
	}
	path = strings.Join(parts, "/") + one("", "", "", "/", "?list=true", "?version=1", "?version=-1", "?list=true&list=false", "?%zz", "//", "/.", "/..", "/%2e", ";list=true", "?list=1", "?LIST=true", "?_method=DELETE", "?x=/../sys/seal", "#x", "%3Flist=true", "?list=true;x", "?help=1")
	body = one("", "{}", `{"data":{"a":"b"}}`, `{"versions":[1]}`, `{"plaintext":"aGk="}`, `{"lease_id":"database/creds/readonly/x"}`, `{"lease_id":"../../sys/seal"}`, `{"token":"s.made-up"}`, `{"lease_id":"ssh/creds/otp/x"}`,
		`{"paths":["x"]}`, `[1]`, `{"data":1}`, `{"mount":"secret","data":{}}`, `{"ip":"127.0.0.1"}`, `{"custom_metadata":{"a":"b"}}`)
	for range r.IntN(3) {
		headers = append(headers, one("X-Vault-Request: true", "X-Vault-Wrap-TTL: 60", "X-Vault-Wrap-TTL: -1", "X-Vault-Namespace: root", "X-Vault-Policy-Override: true",
			"X-Vault-Token: root", "Authorization: Bearer root", "X-Http-Method-Override: DELETE", "X-Http-Method: PUT", "X-Method-Override: LIST", "X-Rewrite-Url: /v1/sys/seal", "X-Forwarded-Prefix: /v1/sys", "X-Vault-Token: ", "X-Vault-Aws-Iam-Server-Id: x", "Content-Type: application/x-www-form-urlencoded", "X-Vault-Recovery: true", "X-Vault-No-Request-Forwarding: true", "X-Vault-Index: x", "X-Original-Url: /v1/sys/seal", "X-Vault-Mfa: x", "X-Vault-Inconsistent: forward-active-node"))
	}
	return one("GET", "GET", "PUT", "POST", "LIST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND", "list", "SCAN", "get", "TRACE", "RENEW", "LISTX"), path, body, headers
}

// Nobody who has not said who it is gets past the questions that are open to everybody,
// in whatever form a request asks for a list.
func TestAnonymousRequests(t *testing.T) {
	w := newWorld(t, nil)
	if a := w.send(t, "GET", "sys/health?list=x", "", ""); a.status != 200 {
		t.Errorf("the health: got %d %v", a.status, a.body)
	}
	for _, path := range []string{"sys/health", "sys/seal-status", "sys/leader", "sys/mounts", "auth/token/lookup-self", "secret/metadata/mcp/agent"} {
		for _, query := range []string{"list=true", "list=1", "x=1&list=true", "list=true&list=x"} {
			if a := w.send(t, "GET", path+"?"+query, "", ""); a.status != 403 {
				t.Errorf("GET %s?%s: got %d %v", path, query, a.status, a.body)
			}
		}
		if a := w.send(t, "LIST", path, "", ""); a.status != 403 {
			t.Errorf("LIST %s: got %d %v", path, a.status, a.body)
		}
	}
}
