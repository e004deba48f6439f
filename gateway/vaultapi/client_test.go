package vaultapi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/ops/opstest"
)

// Vault's own client does through the gateway what it does with Vault.
func TestVaultsOwnClient(t *testing.T) {
	w := newWorld(t, nil)
	for name, test := range map[string]func(*testing.T, *world, *api.Client){
		"kv version 2": clientKV2, "kv version 1": clientKV1, "transit": clientTransit, "database and leases": clientLeases,
		"ssh": clientSSH, "tokens": clientTokens, "logins": clientLogins, "wrapping": clientWrapping, "system": clientSystem, "any credentials": clientCreds, "certificates": clientPKI, "certificate requests": clientCSR, "one-time codes": clientTOTP,
		"rewrapping": clientRewrapping, "lookups": clientLookups, "listed certificates": clientCertificates, "batches": clientBatches, "events": clientEvents,
	} {
		t.Run(name, func(t *testing.T) { test(t, w, w.client(t, agentKey)) })
	}
	t.Run("answers as Vault's", w.likeVault)
	t.Run("errors", w.errors)
	t.Run("one record of each call", w.recorded)
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func clientKV2(t *testing.T, w *world, cl *api.Client) {
	kv, ctx := cl.KVv2("secret"), t.Context()
	path := "mcp/agent/client/app"
	if got := must[*api.KVSecret](t)(kv.Put(ctx, path, map[string]any{"a": "1"}, api.WithCheckAndSet(0))); got.VersionMetadata.Version != 1 {
		t.Errorf("put: got %+v", got.VersionMetadata)
	}
	if _, err := kv.Put(ctx, path, map[string]any{}, api.WithCheckAndSet(0)); status(err) != 400 || !strings.Contains(err.Error(), "check-and-set parameter did not match") {
		t.Errorf("cas: got %v", err)
	}
	must[*api.KVSecret](t)(kv.Patch(ctx, path, map[string]any{"b": "2"}))
	got := must[*api.KVSecret](t)(kv.Get(ctx, path))
	if fmt.Sprint(got.Data) != "map[a:1 b:2]" || got.VersionMetadata.Version != 2 || got.VersionMetadata.CreatedTime.IsZero() {
		t.Errorf("get: got %v %+v", got.Data, got.VersionMetadata)
	}
	if one := must[*api.KVSecret](t)(kv.GetVersion(ctx, path, 1)); fmt.Sprint(one.Data) != "map[a:1]" {
		t.Errorf("get a version: got %v", one.Data)
	}
	if err := kv.PatchMetadata(ctx, path, api.KVMetadataPatchInput{CustomMetadata: map[string]any{"owner": "me"}}); err != nil {
		t.Error(err)
	}
	if m := must[*api.KVMetadata](t)(kv.GetMetadata(ctx, path)); m.CurrentVersion != 2 || fmt.Sprint(m.CustomMetadata) != "map[owner:me]" {
		t.Errorf("metadata: got %+v", m)
	}
	if list := must[*api.Secret](t)(cl.Logical().List("secret/metadata/mcp/agent/client")); fmt.Sprint(list.Data["keys"]) != "[app]" {
		t.Errorf("list: got %v", list.Data)
	}
	if none, err := cl.Logical().List("secret/metadata/mcp/agent/nothing"); none != nil || err != nil {
		t.Errorf("list nothing: got %v, %v", none, err)
	}
	if sub := must[*api.Secret](t)(cl.Logical().Read("secret/subkeys/" + path)); fmt.Sprint(sub.Data["subkeys"]) != "map[a:<nil> b:<nil>]" {
		t.Errorf("subkeys: got %v", sub.Data)
	}
	deletions(t, kv, path)
	if _, err := cl.KVv2("team-kv").Put(ctx, "shared/x", map[string]any{"in": "team-kv"}); err != nil {
		t.Error(err)
	}
	if _, err := kv.Put(ctx, "shared/x", map[string]any{}); status(err) != 403 {
		t.Errorf("a grant of another mount: got %v", err)
	}
}

// deletions brings a secret to its end.
func deletions(t *testing.T, kv *api.KVv2, path string) {
	t.Helper()
	ctx := t.Context()
	if err := kv.Delete(ctx, path); err != nil {
		t.Fatal(err)
	}
	gone, err := kv.Get(ctx, path)
	if err != nil || gone.Data != nil || gone.VersionMetadata.DeletionTime.IsZero() {
		t.Errorf("a deleted version: got %+v, %v", gone, err)
	}
	for _, err := range []error{
		kv.Undelete(ctx, path, []int{2}), kv.DeleteVersions(ctx, path, []int{1}), kv.Destroy(ctx, path, []int{1}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if m := must[*api.KVMetadata](t)(kv.GetMetadata(ctx, path)); !m.Versions["1"].Destroyed || !m.Versions["2"].DeletionTime.IsZero() {
		t.Errorf("got %+v", m.Versions)
	}
	if err := kv.DeleteMetadata(ctx, path); err != nil {
		t.Error(err)
	}
	if _, err := kv.Get(ctx, path); !errors.Is(err, api.ErrSecretNotFound) {
		t.Errorf("a secret that is gone: got %v", err)
	}
}

func clientKV1(t *testing.T, w *world, cl *api.Client) {
	kv, path := cl.KVv1("legacy"), "mcp/agent/first/one"
	if err := kv.Put(t.Context(), path, map[string]any{"a": "1"}); err != nil {
		t.Fatal(err)
	}
	if got := must[*api.KVSecret](t)(kv.Get(t.Context(), path)); fmt.Sprint(got.Data) != "map[a:1]" {
		t.Errorf("got %v", got.Data)
	}
	if list := must[*api.Secret](t)(cl.Logical().List("legacy/mcp/agent/first")); fmt.Sprint(list.Data["keys"]) != "[one]" {
		t.Errorf("list: got %v", list.Data)
	}
	if err := kv.Delete(t.Context(), path); err != nil {
		t.Error(err)
	}
	if _, err := kv.Get(t.Context(), path); !errors.Is(err, api.ErrSecretNotFound) {
		t.Errorf("got %v", err)
	}
}

func clientTransit(t *testing.T, w *world, cl *api.Client) {
	l := cl.Logical()
	one := must[*api.Secret](t)(l.Write("transit/encrypt/mcp", map[string]any{"plaintext": "aGk="}))
	back := must[*api.Secret](t)(l.Write("transit/decrypt/mcp", map[string]any{"ciphertext": one.Data["ciphertext"]}))
	if back.Data["plaintext"] != "aGk=" {
		t.Errorf("got %v", back.Data)
	}
	batch := must[*api.Secret](t)(l.Write("transit/encrypt/mcp", map[string]any{"batch_input": []any{map[string]any{"plaintext": "YQ=="}, map[string]any{"plaintext": "Yg=="}}}))
	if list, _ := batch.Data["batch_results"].([]any); len(list) != 2 {
		t.Errorf("got %v", batch.Data)
	}
	must[*api.Secret](t)(l.Write("transit/rewrap/mcp", map[string]any{"ciphertext": one.Data["ciphertext"]}))
	sig := must[*api.Secret](t)(l.Write("transit/sign/signing", map[string]any{"input": "aGk="}))
	if ok := must[*api.Secret](t)(l.Write("transit/verify/signing", map[string]any{"input": "aGk=", "signature": sig.Data["signature"]})); ok.Data["valid"] != true {
		t.Errorf("got %v", ok.Data)
	}
	must[*api.Secret](t)(l.Write("transit/hmac/mcp/sha2-512", map[string]any{"input": "aGk="}))
	if key := must[*api.Secret](t)(l.Write("transit/datakey/plaintext/mcp", nil)); key.Data["plaintext"] == nil || key.Data["ciphertext"] == nil {
		t.Errorf("got %v", key.Data)
	}
	if r := must[*api.Secret](t)(l.Write("transit/random/8", map[string]any{"format": "hex"})); len(fmt.Sprint(r.Data["random_bytes"])) != 16 {
		t.Errorf("got %v", r.Data)
	}
	if h := must[*api.Secret](t)(l.Write("transit/hash/sha2-256", map[string]any{"input": "YWJj"})); !strings.HasPrefix(fmt.Sprint(h.Data["sum"]), "ba7816bf") {
		t.Errorf("got %v", h.Data)
	}
	if k := must[*api.Secret](t)(l.Read("transit/keys/signing")); k.Data["type"] != "ed25519" {
		t.Errorf("got %v", k.Data)
	}
	if _, err := l.Write("transit/encrypt/mcp", map[string]any{"plaintext": "aGk=", "nonce": "x"}); status(err) != 400 {
		t.Errorf("a field that changes what is meant: got %v", err)
	}
}

func clientLeases(t *testing.T, w *world, cl *api.Client) {
	creds := must[*api.Secret](t)(cl.Logical().Read("database/creds/readonly"))
	if creds.LeaseID == "" || creds.LeaseDuration == 0 || creds.Data["username"] == nil || creds.Data["password"] == nil {
		t.Fatalf("got %+v", creds)
	}
	if l := must[*api.Secret](t)(cl.Sys().Renew(creds.LeaseID, 120)); l.LeaseDuration != 120 || l.LeaseID != creds.LeaseID {
		t.Errorf("got %+v", l)
	}
	if l := must[*api.Secret](t)(cl.Sys().Lookup(creds.LeaseID)); l.Data["id"] != creds.LeaseID {
		t.Errorf("got %v", l.Data)
	}
	if _, err := w.client(t, otherKey).Sys().Renew(creds.LeaseID, 10); status(err) == 0 {
		t.Errorf("another caller's lease: got %v", err)
	}
	if err := cl.Sys().Revoke(creds.LeaseID); err != nil {
		t.Error(err)
	}
	if _, err := cl.Sys().Renew(creds.LeaseID, 120); status(err) != 400 {
		t.Errorf("a lease that has ended: got %v", err)
	}
	if _, err := cl.Logical().Read("database/creds/other"); status(err) != 403 {
		t.Errorf("got %v", err)
	}
}

func clientSSH(t *testing.T, w *world, cl *api.Client) {
	ssh := cl.SSHWithMountPoint("ssh")
	if s := must[*api.Secret](t)(ssh.Credential("otp", map[string]any{"ip": "127.0.0.1", "username": "dev"})); s.Data["key"] == nil || s.Data["key_type"] != "otp" {
		t.Errorf("got %v", s.Data)
	}
	s := must[*api.Secret](t)(ssh.SignKey("ca", map[string]any{"public_key": opstest.PublicKey, "valid_principals": "dev"}))
	if !strings.Contains(fmt.Sprint(s.Data["signed_key"]), "ssh-ed25519-cert") || s.Data["serial_number"] == nil {
		t.Errorf("got %v", s.Data)
	}
	if a := w.send(t, "GET", "ssh/public_key", agentKey, ""); a.status != 200 || !strings.HasPrefix(fmt.Sprint(a.body["text"]), "ssh-") {
		t.Errorf("got %+v", a)
	}
	if ca := must[*api.Secret](t)(cl.Logical().Read("ssh/config/ca")); ca.Data["public_key"] == nil {
		t.Errorf("got %v", ca.Data)
	}
}

func clientTokens(t *testing.T, w *world, cl *api.Client) {
	if me := must[*api.Secret](t)(cl.Auth().Token().LookupSelf()); me.Data["id"] != agentKey || me.Data["display_name"] != "agent" {
		t.Errorf("got %v", me.Data)
	}
	if _, err := cl.Auth().Token().RenewSelf(60); status(err) != 400 {
		t.Errorf("an API key is renewed: %v", err)
	}
	child := must[*api.Secret](t)(cl.Auth().Token().Create(&api.TokenCreateRequest{TTL: "20m"}))
	if asked := must[*api.Secret](t)(cl.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"root"}})); len(asked.Warnings) != 1 || fmt.Sprint(asked.Auth.Policies) != "[default]" {
		t.Errorf("policies: got %v, %+v", asked.Warnings, asked.Auth)
	}
	session := w.client(t, child.Auth.ClientToken)
	if me := must[*api.Secret](t)(session.Auth().Token().LookupSelf()); me.Data["display_name"] != "agent" || me.Data["renewable"] != true {
		t.Errorf("got %v", me.Data)
	}
	if r := must[*api.Secret](t)(session.Auth().Token().RenewSelf(60)); r.Auth.LeaseDuration < 50 || r.Auth.LeaseDuration > 60 {
		t.Errorf("got %+v", r.Auth)
	}
	if err := session.Auth().Token().RevokeSelf(""); err != nil {
		t.Error(err)
	}
	if _, err := session.Auth().Token().LookupSelf(); status(err) != 403 {
		t.Errorf("a session that was revoked: got %v", err)
	}
	if status := w.send(t, "GET", "secret/data/mcp/agent/x", child.Auth.ClientToken, "").status; status != 403 {
		t.Errorf("got %d", status)
	}
}

func clientLogins(t *testing.T, w *world, cl *api.Client) {
	anonymous := w.client(t, "")
	in := must[*api.Secret](t)(anonymous.Logical().Write("auth/approle/login", map[string]any{"role_id": "agent", "secret_id": agentKey}))
	if in.Auth == nil || in.Auth.ClientToken == agentKey || in.Auth.LeaseDuration == 0 {
		t.Fatalf("got %+v", in)
	}
	if _, err := w.client(t, in.Auth.ClientToken).KVv2("secret").Put(t.Context(), "mcp/agent/session", map[string]any{}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string][2]string{
		"wrong key":         {"auth/approle/login", `{"role_id":"agent","secret_id":"no such key"}`},
		"key of another":    {"auth/approle/login", fmt.Sprintf(`{"role_id":"agent","secret_id":%q}`, otherKey)},
		"without a key":     {"auth/approle/login", `{"role_id":"agent"}`},
		"no token":          {"auth/jwt/login", `{"role":"x","jwt":"eyJhbGciOiJub25lIn0.e30."}`},
		"nothing":           {"auth/kubernetes/login", ``},
		"no certificate":    {"auth/cert/login", `{}`},
		"a session as key":  {"auth/approle/login", fmt.Sprintf(`{"role_id":"agent","secret_id":%q}`, in.Auth.ClientToken)},
		"another auth path": {"auth/userpass/login/x", `{"password":"x"}`},
	} {
		if a := w.send(t, "PUT", c[0], "", c[1]); a.status < 400 || a.body["auth"] != nil {
			t.Errorf("%s: got %+v", name, a)
		}
	}
}

func clientWrapping(t *testing.T, w *world, cl *api.Client) {
	must[*api.KVSecret](t)(cl.KVv2("secret").Put(t.Context(), "mcp/agent/wrapped", map[string]any{"a": "1"}))
	wrapping := w.client(t, agentKey)
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	s := must[*api.Secret](t)(wrapping.Logical().Read("secret/data/mcp/agent/wrapped"))
	if s.WrapInfo == nil || s.WrapInfo.Token == "" || s.WrapInfo.TTL != 60 || s.Data != nil {
		t.Fatalf("got %+v", s)
	}
	if _, err := w.client(t, otherKey).Logical().Unwrap(s.WrapInfo.Token); status(err) != 400 {
		t.Errorf("another caller opens it: %v", err)
	}
	look := must[*api.Secret](t)(cl.Logical().Write("sys/wrapping/lookup", map[string]any{"token": s.WrapInfo.Token}))
	if look.Data["creation_path"] != "secret/data/mcp/agent/wrapped" || fmt.Sprint(look.Data["creation_ttl"]) != "60" {
		t.Errorf("lookup: got %v", look.Data)
	}
	if _, err := w.client(t, otherKey).Logical().Write("sys/wrapping/lookup", map[string]any{"token": s.WrapInfo.Token}); status(err) != 400 {
		t.Errorf("another caller looks: %v", err)
	}
	opened := must[*api.Secret](t)(cl.Logical().Unwrap(s.WrapInfo.Token))
	if fmt.Sprint(opened.Data["data"]) != "map[a:1]" {
		t.Errorf("got %v", opened.Data)
	}
	if _, err := cl.Logical().Unwrap(s.WrapInfo.Token); status(err) != 400 {
		t.Errorf("opened twice: %v", err)
	}
	if a := w.send(t, "PUT", "sys/wrapping/unwrap", agentKey, fmt.Sprintf(`{"token":%q}`, w.vault.Token)); a.status != 400 {
		t.Errorf("a token of Vault's is opened: %+v", a)
	}
	if a := w.send(t, "GET", "sys/internal/ui/mounts/secret/x", agentKey, "", "X-Vault-Wrap-TTL: 60"); a.body["wrap_info"] != nil {
		t.Errorf("the preflight is wrapped: %+v", a.body)
	}
	if a := w.send(t, "GET", "secret/data/mcp/agent/wrapped", agentKey, "", "X-Vault-Wrap-TTL: forever"); a.status != 400 {
		t.Errorf("got %+v", a)
	}
}

func clientSystem(t *testing.T, w *world, cl *api.Client) {
	if h, err := w.client(t, "").Sys().Health(); err != nil || h.Sealed || !h.Initialized || strings.Count(h.Version, ".") != 2 {
		t.Errorf("got %+v, %v", h, err)
	}
	if s, err := w.client(t, "").Sys().SealStatus(); err != nil || s.Sealed || strings.Count(s.Version, ".") != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
	mounts := must[map[string]*api.MountOutput](t)(cl.Sys().ListMounts())
	if mounts["secret/"] == nil || mounts["legacy/"].Options["version"] != "1" || mounts["transit/"].Type != "transit" {
		t.Errorf("got %v", mounts)
	}
	for path, want := range map[string]string{"secret/mcp/x": "secret/ 2", "legacy/x": "legacy/ 1", "team-kv": "team-kv/ 2"} {
		s := must[*api.Secret](t)(cl.Logical().Read("sys/internal/ui/mounts/" + path))
		if got := fmt.Sprint(s.Data["path"], " ", s.Data["options"]); got != strings.Replace(want, " ", " map[version:", 1)+"]" {
			t.Errorf("%s: got %s", path, got)
		}
	}
	if _, err := cl.Logical().Read("sys/internal/ui/mounts/nowhere/x"); status(err) != 403 {
		t.Errorf("got %v", err)
	}
	for path, want := range map[string]string{
		"secret/data/mcp/agent/x": "[create delete patch read update]", "secret/metadata/mcp/agent": "[create delete list patch read update]",
		"secret/data/mcp/other/x": "[deny]", "team-kv/data/shared/x": "[create delete patch read update]", "secret/data/shared/x": "[deny]",
		"legacy/mcp/agent/x": "[create delete list read update]", "transit/encrypt/mcp": "[create update]", "transit/sign/signing": "[create update]", "transit/encrypt/none": "[deny]",
		"database/creds/readonly": "[read]", "database/creds/other": "[deny]", "ssh/sign/ca": "[create update]", "pki/sign/web": "[create update]", "pki/issue/web": "[create update]", "totp/code/login": "[create read update]",
		"sys/policies/acl/x": "[deny]", "auth/token/lookup-self": "[read]", "nowhere": "[deny]", "secret/data/mcp/agent/../other/x": "[deny]", "": "[deny]",
	} {
		if got, err := cl.Sys().CapabilitiesSelf(path); path != "" && (err != nil || fmt.Sprint(got) != want) {
			t.Errorf("%q: got %v, %v, want %s", path, got, err, want)
		}
	}
	many := `{"paths":["` + strings.Repeat(`secret/data/x","`, 20) + `y"]}`
	if a := w.send(t, "POST", "sys/capabilities-self", agentKey, many); a.status != 400 {
		t.Errorf("too many paths: got %d", a.status)
	}
}

// errors are Vault's, with its status codes and texts.
func (w *world) errors(t *testing.T) {
	for name, tt := range map[string]struct {
		method, path, token, body string
		headers                   []string
		status                    int
		text                      string
	}{
		"no token":           {"GET", "secret/data/mcp/agent/x", "", "", nil, 403, "permission denied"},
		"wrong token":        {"GET", "secret/data/mcp/agent/x", "wrong", "", nil, 403, "permission denied"},
		"another caller's":   {"GET", "secret/data/mcp/other/x", agentKey, "", nil, 403, "permission denied"},
		"not there":          {"GET", "secret/data/mcp/agent/absent", agentKey, "", nil, 404, "[]"},
		"no such mount":      {"GET", "nowhere/x", agentKey, "", nil, 404, "no such mount"},
		"no such path":       {"GET", "secret/config", agentKey, "", nil, 404, "unsupported path"},
		"no such verb":       {"DELETE", "transit/encrypt/mcp", agentKey, "", nil, 405, "unsupported operation"},
		"in a namespace":     {"GET", "secret/data/mcp/agent/x", agentKey, "", []string{"X-Vault-Namespace: team"}, 400, "namespaces"},
		"two credentials":    {"GET", "secret/data/mcp/agent/x", agentKey, "", []string{"X-Api-Key: " + otherKey}, 403, ""},
		"no JSON":            {"PUT", "secret/data/mcp/agent/x", agentKey, "{", nil, 400, ""},
		"no data":            {"PUT", "secret/data/mcp/agent/x", agentKey, "{}", nil, 400, "no data provided"},
		"upwards":            {"GET", "secret/data/mcp/agent/../other/x", agentKey, "", nil, 400, ""},
		"upwards, escaped":   {"GET", "secret/data/mcp/agent/%2e%2e/other/x", agentKey, "", nil, 400, ""},
		"empty segment":      {"GET", "secret/data//mcp/agent/x", agentKey, "", nil, 400, ""},
		"behind an allowed":  {"PUT", "auth/token/create/root", agentKey, "{}", nil, 404, ""},
		"Vault's own":        {"GET", "sys/policies/acl/root", agentKey, "", nil, 404, ""},
		"Vault's raw":        {"GET", "sys/raw/core", agentKey, "", nil, 404, ""},
		"another's lease id": {"PUT", "sys/leases/revoke-prefix/database", agentKey, "", nil, 404, "needs Vault itself"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.send(t, tt.method, tt.path, tt.token, tt.body, tt.headers...)
			if list, ok := a.body["errors"].([]any); a.status != tt.status || !ok || !strings.Contains(fmt.Sprint(list), tt.text) {
				t.Errorf("got %d %v", a.status, a.body)
			}
		})
	}
	if a := w.send(t, "GET", "secret/data/mcp/other/x", agentKey, ""); a.header.Get("X-Decision-Id") == "" {
		t.Error("a denial does not name its decision")
	}
	if resp := w.send(t, "LIST", "secret/metadata/mcp/agent/", agentKey, ""); resp.status != 200 {
		t.Errorf("the verb LIST: got %+v", resp)
	}
}

// recorded: a call over Vault's API is on record as one over REST, once.
func (w *world) recorded(t *testing.T) {
	before := len(w.records(t))
	a := w.send(t, "GET", "secret/data/mcp/agent/absent", agentKey, "")
	intents := 0
	for _, r := range w.records(t)[before:] {
		if fmt.Sprint(r["decision_id"]) == a.header.Get("X-Decision-Id") && r["type"] != "outcome" {
			intents++
		}
	}
	if intents != 1 {
		t.Errorf("got %d records before the effect, want one: %v", intents, w.records(t)[before:])
	}
}

// status is that of an error of Vault's client, 0 for another.
func status(err error) int {
	if r, ok := errors.AsType[*api.ResponseError](err); ok {
		return r.StatusCode
	}
	return 0
}
