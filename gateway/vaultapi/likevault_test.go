package vaultapi_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// likeness is one request, to Vault and to the gateway. Answers have the same status, the
// same form and the same type of contents, unless unlike says why they have not.
type likeness struct {
	method, path, body string
	headers            []string
	unlike             string
}

const (
	merge  = "Content-Type: application/merge-patch+json"
	strict = "what Vault passes over, the gateway refuses"
	exact  = "a number that Vault would round is refused"
	named  = "an agent that names a version that is not there is told so"
	whom   = "Vault's own bookkeeping of its tokens is not for callers"
	once   = "a path has one spelling"
	quiet  = "a parameter that nobody knows is passed over without a warning"
	ours   = "it is about the gateway's credentials"
	decide = "the gateway's policy decides before Vault is asked"
)

func ask(method, path string, headers ...string) likeness {
	return likeness{method: method, path: path, headers: headers}
}

func say(method, path, body string, headers ...string) likeness {
	return likeness{method: method, path: path, body: body, headers: headers}
}

func (l likeness) but(why string) likeness {
	l.unlike = why
	return l
}

func kvLikenesses() []likeness {
	const x, y, none, at = "secret/data/mcp/agent/like/x", "secret/data/mcp/agent/like/y", "secret/data/mcp/agent/like/none", "secret/metadata/mcp/agent/like"
	return []likeness{
		say("PUT", x, `{"data":{"a":"b","n":1}}`), say("POST", x, `{"data":{"a":"b"}}`), ask("GET", x), ask("GET", none), ask("HEAD", x), ask("GET", x+"/").but("Vault names the API in a warning"),
		ask("GET", x+"?version=1"), ask("GET", x+"?version=0"), ask("GET", x+"?version=99"), ask("GET", x+"?version=x"), ask("GET", x+"?version="),
		ask("GET", x+"?version=-1").but(strict), ask("GET", x+"?version=1&version=2"), ask("GET", x+"?unknown=1").but(quiet), ask("GET", x+"?help=1").but("no help about paths"),
		ask("GET", x+"?list=false").but(quiet), ask("GET", x+"?list=x"), ask("LIST", x).but("Vault names the API in a warning"),
		ask("LIST", at), ask("LIST", at+"/"), ask("GET", at+"?list=true"), ask("GET", at+"/?list=1"), ask("GET", at+"?list=t"), ask("LIST", at+"/nothing"),
		ask("GET", at+"/none"), ask("GET", at+"/x").but(whom), ask("GET", "secret/subkeys/mcp/agent/like/x?depth=1"), ask("GET", "secret/subkeys/mcp/agent/like/x?depth=x"),
		say("PATCH", x, `{"data":{"c":"d"}}`, merge), say("PATCH", x, `{"data":{"c":null},"options":{"cas":99}}`, merge), say("PATCH", x, `{"data":{"c":"d"}}`, "Content-Type: application/json").but("the media type is not asked for"),
		say("PUT", x, ""), say("PUT", x, "{}"), say("PUT", x, `{"data":"x"}`), say("PUT", x, `{"data":null}`).but(strict), say("PUT", x, `{"data":{}}`),
		say("PUT", x, `{"data":{"a":1},"options":{"cas":"0"}}`), say("PUT", x, `{"data":{"a":1},"options":{"cas":null}}`), say("PUT", x, `{"data":{"a":1},"options":{"cas":99}}`),
		say("PUT", x, `{"data":{"a":1},"options":null}`), say("PUT", x, `{"data":{"a":1},"data":{"b":2}}`).but("400, not 500"), say("PUT", x, `{"data":{"a":1}`).but("400, not 500"),
		say("PUT", x, `{"data":{"a":12345678901234567890}}`).but(exact), say("PUT", x, `{"data":{"a":"1"}}`, "Content-Type: text/plain"), say("PUT", x, "a=b", "Content-Type: application/x-www-form-urlencoded"),
		say("PUT", x, "x", "Content-Encoding: gzip").but("415"), ask("DELETE", none), say("PUT", y, `{"data":{"a":"b"}}`), say("PUT", "secret/delete/mcp/agent/like/y", `{"versions":[1]}`), ask("GET", y+"?version=1"),
		say("PUT", "secret/undelete/mcp/agent/like/y", `{"versions":["1"]}`), say("PUT", "secret/undelete/mcp/agent/like/y", `{"versions":"1,2"}`), say("PUT", "secret/destroy/mcp/agent/like/y", `{"versions":[99]}`).but(named),
		say("PUT", at+"/x", `{"max_versions":5,"custom_metadata":{"k":"v"}}`), say("PUT", at+"/x", `{"custom_metadata":null}`), say("PUT", at+"/new", `{"custom_metadata":{"managed-by":"external-secrets"}}`),
		say("PATCH", at+"/x", `{"custom_metadata":{"k2":"v"}}`, merge), say("PUT", at+"/x", `{"unknown":1}`).but(strict), say("PUT", at+"/x", "{}").but(strict), ask("DELETE", at+"/new"),
		say("PUT", "legacy/mcp/agent/like", `{"a":"b"}`), ask("GET", "legacy/mcp/agent/like"), ask("GET", "legacy/mcp/agent/like/").but("404 says why"), ask("LIST", "legacy/mcp/agent"), ask("GET", "legacy/mcp/agent/none"),
		say("PUT", "legacy/mcp/agent/like/", `{"a":"b"}`).but("404, not 400"), say("PUT", "legacy/mcp/agent/like", ""), ask("DELETE", "legacy/mcp/agent/like"),
		ask("GET", "secret/data/mcp//agent/like/x").but(once), ask("GET", "secret/data/mcp/./agent/like/x").but(once), ask("GET", "secret/data/mcp%2Fagent/like/%78"), ask("GET", "secret/data/mcp/agent/like/%zz"),
	}
}

func otherLikenesses() []likeness {
	wrap := func(ttl string) string { return "X-Vault-Wrap-TTL: " + ttl }
	const x = "secret/data/mcp/agent/like/x"
	list := []likeness{
		ask("GET", x, wrap("60")), ask("GET", x, wrap("1m")), ask("GET", x, wrap("1d")), ask("GET", x, wrap("0")), ask("GET", x, wrap("x")), ask("GET", x, wrap("-1")), ask("GET", x, wrap("25h")).but("at most a day"),
		ask("GET", x, "X-Vault-Namespace: root"), ask("GET", x, "X-Vault-Namespace: team").but("namespaces are refused, which Vault's community edition passes over"),
		ask("GET", x, "If-None-Match: *"), ask("GET", x, "Range: bytes=0-3"), ask("GET", x, "Accept: text/html"), ask("GET", x, "X-HTTP-Method-Override: DELETE"), say("GET", x, `{"a":1}`),
		say("PUT", "transit/encrypt/mcp", `{"plaintext":"aGk="}`), say("PUT", "transit/encrypt/mcp", `{"plaintext":"***"}`), say("PUT", "transit/encrypt/mcp", `{}`), say("PUT", "transit/decrypt/mcp", `{"ciphertext":"x"}`),
		say("PUT", "transit/sign/signing", `{"input":"aGk="}`), say("PUT", "transit/verify/signing", `{"input":"aGk="}`), say("PUT", "transit/hmac/mcp/sha2-512", `{"input":"aGk="}`), say("PUT", "transit/datakey/wrapped/mcp", ""),
		say("PUT", "transit/random/16", `{"format":"hex"}`), say("PUT", "transit/hash/sha2-512", `{"input":"aGk="}`), ask("GET", "transit/keys/signing").but("the public halves alone"), ask("LIST", "transit/keys").but(decide),
		say("PUT", "ssh/creds/otp", `{"ip":"127.0.0.1"}`), say("PUT", "ssh/creds/otp", `{}`), say("PUT", "ssh/creds/none", `{"ip":"127.0.0.1"}`).but(decide), ask("GET", "ssh/config/ca"), ask("GET", "ssh/public_key"),
		say("PUT", "pki/issue/web", `{"common_name":"app.example.test"}`).but("without authority_key_id"), say("PUT", "pki/issue/web", `{"common_name":"evil.test"}`), ask("GET", "pki/ca/pem"), ask("GET", "pki/ca"), ask("GET", "pki/ca_chain"),
		ask("GET", "pki/crl"), ask("GET", "pki/crl/pem"), ask("GET", "pki/cert/ca").but("without authority_key_id"), ask("GET", "pki/cert/crl"), ask("GET", "totp/code/login"), say("PUT", "totp/code/login", `{}`),
		say("POST", "auth/token/lookup-self", "").but(ours), say("PUT", "auth/token/create", `{"ttl":"60s"}`).but(ours), say("PUT", "auth/token/create", `{"ttl":"60s"}`, wrap("60")).but("a session is not wrapped, and not given out instead"), say("PUT", "auth/token/create", `{"ttl":"x"}`),
		say("PUT", "sys/capabilities-self", `{"path":"secret/data/mcp/agent/x"}`), say("PUT", "sys/capabilities-self", `{"paths":["secret/data/mcp/agent/x","sys/x"]}`), say("PUT", "sys/capabilities-self", `{"paths":"secret/data/mcp/agent/x,sys/x"}`),
		say("PUT", "sys/leases/lookup", `{"lease_id":"x"}`), say("PUT", "sys/leases/renew", `{"lease_id":"x"}`), say("PUT", "sys/leases/revoke", `{"lease_id":"x"}`).but("a lease that is not there, or another's, is an error"),
		say("PUT", "sys/wrapping/unwrap", `{"token":"x"}`), say("PUT", "sys/wrapping/lookup", `{"token":"x"}`), say("PUT", "sys/wrapping/rewrap", `{"token":"x"}`), ask("GET", "sys/mounts/secret").but(decide),
		ask("GET", "sys/health"), ask("HEAD", "sys/health"), ask("GET", "sys/health?activecode=250"), ask("GET", "sys/health?activecode=x"), ask("GET", "sys/seal-status"), ask("GET", "sys/leader"), ask("GET", "sys/init"), say("PUT", "sys/health", ""),
	}
	return list
}

// likeVault: for each request the gateway answers as Vault does, or the table says why not.
func (w *world) likeVault(t *testing.T) {
	vault := &world{url: w.vault.Addr}
	for i, l := range slices.Concat(kvLikenesses(), otherLikenesses()) {
		want := vault.send(t, l.method, l.path, w.vault.Token, l.body, l.headers...)
		got := w.send(t, l.method, l.path, agentKey, l.body, l.headers...)
		if same := form(want) == form(got); same != (l.unlike == "") {
			t.Errorf("%d: %s %s %s %v: same %v, unlike %q\nVault:   %s\ngateway: %s\n%v", i, l.method, l.path, l.body, l.headers, same, l.unlike, form(want), form(got), got.body)
		}
	}
}

// form is what of an answer does not depend on when it was made.
func form(a answer) string {
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if a.status == 204 {
		media = ""
	}
	if errors, ok := a.body["errors"]; ok && a.status != 404 { // where clients ask whether there are any
		return fmt.Sprintf("%d %s %T", a.status, media, errors)
	}
	return fmt.Sprint(a.status, " ", media, " ", shape(a.body))
}

func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&b, "%s:%s ", k, shape(v[k]))
		}
		return "{" + strings.TrimSpace(b.String()) + "}"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shape(v[0]) + "]"
	}
	return fmt.Sprintf("%T", v)
}
