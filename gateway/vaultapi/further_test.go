package vaultapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// A wrapped answer moves behind another token, for its caller alone. A wrapping token is
// taken where Vault has it, beside the caller's own credential.
func clientRewrapping(t *testing.T, w *world, cl *api.Client) {
	must[*api.KVSecret](t)(cl.KVv2("secret").Put(t.Context(), "mcp/agent/rewrapped", map[string]any{"a": "1"}))
	wrapping := w.client(t, agentKey)
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	wrapped := func() string {
		return must[*api.Secret](t)(wrapping.Logical().Read("secret/data/mcp/agent/rewrapped")).WrapInfo.Token
	}
	first := wrapped()
	if _, err := w.client(t, otherKey).Logical().Write("sys/wrapping/rewrap", map[string]any{"token": first}); status(err) != 400 {
		t.Errorf("another caller's: got %v", err)
	}
	again := must[*api.Secret](t)(cl.Logical().Write("sys/wrapping/rewrap", map[string]any{"token": first})).WrapInfo
	if again == nil || again.Token == first || again.TTL != 60 || again.CreationPath != "secret/data/mcp/agent/rewrapped" {
		t.Fatalf("got %+v", again)
	}
	if _, err := cl.Logical().Unwrap(first); status(err) != 400 {
		t.Errorf("the first token: got %v", err)
	}
	if _, err := w.client(t, otherKey).Logical().Unwrap(again.Token); status(err) != 400 {
		t.Errorf("another caller opens it: got %v", err)
	}
	if opened := must[*api.Secret](t)(cl.Logical().Unwrap(again.Token)); fmt.Sprint(opened.Data["data"]) != "map[a:1]" {
		t.Errorf("got %v", opened.Data)
	}
	own := "Authorization: Bearer " + agentKey
	a := w.send(t, "GET", "cubbyhole/response", wrapped(), "", own)
	text, _ := a.body["data"].(map[string]any)["response"].(string)
	if inner, err := api.ParseSecret(strings.NewReader(text)); err != nil || fmt.Sprint(inner.Data["data"]) != "map[a:1]" {
		t.Errorf("the old form: got %v %+v", err, a)
	}
	if a := w.send(t, "PUT", "sys/wrapping/unwrap", wrapped(), "", own); a.status != 200 {
		t.Errorf("beside a credential: got %+v", a)
	}
	third := wrapped()
	if a := w.send(t, "PUT", "sys/wrapping/unwrap", third, "", "Authorization: Bearer "+otherKey); a.status != 400 {
		t.Errorf("beside another's: got %+v", a)
	}
	for _, path := range []string{"sys/wrapping/unwrap", "sys/wrapping/rewrap", "sys/wrapping/lookup"} {
		if a := w.send(t, "PUT", path, third, ""); a.status != 403 || !strings.Contains(fmt.Sprint(a.body), "vault unwrap TOKEN") {
			t.Errorf("%s with a wrapping token alone: got %+v", path, a)
		}
	}
	if a := w.send(t, "GET", "secret/data/mcp/agent/rewrapped", third, "", own); a.status != 403 {
		t.Errorf("beside a credential elsewhere: got %+v", a)
	}
}

// What the caller holds can be looked up, whatever its engine; what is another's cannot.
func clientLookups(t *testing.T, w *world, cl *api.Client) {
	l, other := cl.Logical(), w.client(t, otherKey)
	ids := []string{must[*api.Secret](t)(l.Read("brokers/creds/readonly")).LeaseID}
	otp := must[*api.Secret](t)(l.Write("ssh/creds/otp", map[string]any{"ip": "127.0.0.1"}))
	for _, id := range append(ids, otp.LeaseID) {
		if one := must[*api.Secret](t)(cl.Sys().Lookup(id)); one.Data["id"] != id || one.Data["expire_time"] == nil {
			t.Errorf("got %v", one.Data)
		}
		if _, err := other.Sys().Lookup(id); status(err) != 400 && status(err) != 403 {
			t.Errorf("another caller looks: got %v", err)
		}
		if err := other.Sys().Revoke(id); status(err) != 400 && status(err) != 403 {
			t.Errorf("another caller revokes: got %v", err)
		}
	}
	if _, err := cl.Sys().Renew(otp.LeaseID, 10); status(err) != 400 {
		t.Errorf("a password is renewed: %v", err)
	}
	if err := cl.Sys().Revoke(otp.LeaseID); err != nil {
		t.Error(err)
	}
	if _, err := cl.Sys().Lookup(otp.LeaseID); status(err) != 400 {
		t.Errorf("a password that was revoked: got %v", err)
	}
	if got := w.send(t, "POST", "ssh/verify", w.vault.Token, fmt.Sprintf(`{"otp":%q}`, otp.Data["key"])); got.status < 400 {
		t.Errorf("got %+v", got)
	}
	if roles := must[*api.Secret](t)(l.Write("ssh/lookup", map[string]any{"ip": "127.0.0.1"})); fmt.Sprint(roles.Data["roles"]) != "[otp]" {
		t.Errorf("roles: got %v", roles.Data)
	}
	if roles := must[*api.Secret](t)(other.Logical().Write("ssh/lookup", map[string]any{"ip": "127.0.0.1"})); roles.Data["roles"] != nil {
		t.Errorf("roles of one without grants: got %v", roles.Data)
	}
	if _, err := l.Write("ssh/lookup", map[string]any{"ip": "localhost"}); status(err) != 400 {
		t.Errorf("no address: got %v", err)
	}
}

// A caller lists its own certificates.
func clientCertificates(t *testing.T, w *world, cl *api.Client) {
	l, serials := cl.Logical(), []string{}
	for range 2 {
		one := must[*api.Secret](t)(l.Write("pki/issue/web", map[string]any{"common_name": "listed.example.test"}))
		serials = append(serials, fmt.Sprint(one.Data["serial_number"]))
	}
	listed := must[*api.Secret](t)(l.List("pki/certs"))
	keys, _ := json.Marshal(listed.Data["keys"])
	for _, s := range serials {
		if !strings.Contains(string(keys), s) {
			t.Errorf("%s is not in %s", s, keys)
		}
	}
	if none, err := w.client(t, otherKey).Logical().List("pki/certs"); none != nil || err != nil {
		t.Errorf("another caller's: got %v, %v", none, err)
	}
	if a := w.send(t, "LIST", "pki/certs/revoked", agentKey, ""); a.status != 404 || !strings.Contains(fmt.Sprint(a.body), "unsupported path") {
		t.Errorf("everybody's: got %+v", a)
	}
}

// What transit answers a batch of which some cannot be done says so of those, and warns of
// nothing.
func clientBatches(t *testing.T, _ *world, cl *api.Client) {
	for path, items := range map[string]string{
		"sign/signing": `[{"input":"aGk="},{"input":"!"}]`, "hmac/mcp": `[{"input":"aGk="}]`, "encrypt/mcp": `[{"plaintext":"aGk="}]`,
		"decrypt/mcp": `[{"ciphertext":"vault:v1:AAAA"}]`, "rewrap/mcp": `[{"ciphertext":"vault:v1:AAAA"}]`,
	} {
		var batch []any
		if err := json.Unmarshal([]byte(items), &batch); err != nil {
			t.Fatal(err)
		}
		s, err := cl.Logical().Write("transit/"+path, map[string]any{"batch_input": batch})
		if err != nil && status(err) != 400 {
			t.Errorf("%s: %v", path, err)
		}
		if s != nil && len(s.Warnings) > 0 {
			t.Errorf("%s: warned of %v", path, s.Warnings)
		}
	}
}
