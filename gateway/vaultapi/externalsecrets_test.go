package vaultapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/auth/authtest"
)

// secretStore asks as the Vault provider of External Secrets does: the same requests in
// the same order, and the same checks of their answers.
type secretStore struct {
	client *api.Client
	mount  string
}

// storeOf is a store behind a login, none for one with a token of its own.
func storeOf(t *testing.T, address, token, login string, body map[string]any) *secretStore {
	t.Helper()
	c := api.DefaultConfig()
	c.Address, c.MaxRetries, c.ReadYourWrites = address, 0, true
	cl := must[*api.Client](t)(api.NewClient(c))
	cl.SetNamespace("root")
	cl.AddHeader("X-Vault-Inconsistent", "forward-active-node")
	if cl.SetToken(token); login != "" {
		in := must[*api.Secret](t)(cl.Logical().WriteWithContext(t.Context(), login, body))
		cl.SetToken(must[string](t)(in.TokenID()))
	}
	return &secretStore{cl, "secret"}
}

// valid is its look at the token, before it is used again and before it is revoked.
func (s *secretStore) valid(t *testing.T) (ok bool, until time.Time) {
	t.Helper()
	self := must[*api.Secret](t)(s.client.Auth().Token().LookupSelfWithContext(t.Context()))
	kind, _ := self.Data["type"].(string)
	ttl, isNumber := self.Data["ttl"].(json.Number)
	end, there := self.Data["expire_time"]
	if kind != "service" || !isNumber || !there {
		t.Fatalf("lookup-self: got %v", self.Data)
	}
	if end == nil {
		return true, until
	}
	until = must[time.Time](t)(time.Parse(time.RFC3339, fmt.Sprint(end)))
	seconds, err := ttl.Int64()
	return err == nil && seconds >= 60, until
}

// get is the data of a secret, nil for none.
func (s *secretStore) get(t *testing.T, key, version string) any {
	t.Helper()
	var params map[string][]string
	if version != "" {
		params = map[string][]string{"version": {version}}
	}
	found := must[*api.Secret](t)(s.client.Logical().ReadWithDataWithContext(t.Context(), s.mount+"/data/"+key, params))
	if found == nil {
		return nil
	}
	data, there := found.Data["data"]
	if !there {
		t.Fatalf("%s: got %v", key, found.Data)
	}
	return data
}

// tags are the custom metadata of a secret, with what the provider takes of the other.
func (s *secretStore) tags(t *testing.T, key string) map[string]string {
	t.Helper()
	found := must[*api.Secret](t)(s.client.Logical().ReadWithDataWithContext(t.Context(), s.mount+"/metadata/"+key, nil))
	if found == nil {
		t.Fatalf("%s has no metadata", key)
	}
	tags := map[string]string{}
	for _, name := range []string{"current_version", "delete_version_after"} {
		tags[name] = fmt.Sprint(found.Data[name])
	}
	custom, _ := found.Data["custom_metadata"].(map[string]any)
	for name, v := range custom {
		tags[name] = fmt.Sprint(v)
	}
	return tags
}

// all are the secrets below a path that ends in a slash, by its recursive lists.
func (s *secretStore) all(t *testing.T, path string) (names []string) {
	t.Helper()
	found := must[*api.Secret](t)(s.client.Logical().ListWithContext(t.Context(), s.mount+"/metadata/"+path))
	if found == nil {
		return nil
	}
	keys, _ := found.Data["keys"].([]any)
	for _, k := range keys {
		name := path + fmt.Sprint(k)
		if strings.HasSuffix(name, "/") {
			names = append(names, s.all(t, name)...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

// push writes a secret as PushSecret does with a check of its version.
func (s *secretStore) push(t *testing.T, key string, data map[string]any) {
	t.Helper()
	cas := 0
	if s.get(t, key, "") != nil {
		n, err := json.Number(s.tags(t, key)["current_version"]).Int64()
		if cas = int(n); err != nil || s.tags(t, key)["managed-by"] != "external-secrets" {
			t.Fatalf("%s: got %v", key, s.tags(t, key))
		}
	}
	must[*api.Secret](t)(s.client.Logical().WriteWithContext(t.Context(), s.mount+"/metadata/"+key,
		map[string]any{"custom_metadata": map[string]string{"managed-by": "external-secrets"}}))
	must[*api.Secret](t)(s.client.Logical().WriteWithContext(t.Context(), s.mount+"/data/"+key,
		map[string]any{"data": data, "options": map[string]any{"cas": cas}}))
}

func (s *secretStore) remove(t *testing.T, key string) {
	t.Helper()
	must[*api.Secret](t)(s.client.Logical().DeleteWithContext(t.Context(), s.mount+"/data/"+key))
	must[*api.Secret](t)(s.client.Logical().DeleteWithContext(t.Context(), s.mount+"/metadata/"+key))
}

// close revokes a token that the store has logged in for.
func (s *secretStore) close(t *testing.T) {
	t.Helper()
	if ok, _ := s.valid(t); !ok {
		t.Fatal("the token is not valid")
	}
	if err := s.client.Auth().Token().RevokeSelfWithContext(t.Context(), s.client.Token()); err != nil {
		t.Fatal(err)
	}
	if self, err := s.client.Auth().Token().LookupSelfWithContext(t.Context()); err == nil {
		t.Errorf("after it was revoked: got %v", self.Data)
	}
}

// conversation is what a store says of the same secrets, wherever they lie.
func (s *secretStore) conversation(t *testing.T, below string) []string {
	t.Helper()
	var said []string
	say := func(v any) { said = append(said, fmt.Sprint(v)) }
	one, two := below+"eso/one", below+"eso/deep/two"
	say(s.get(t, one, ""))
	s.push(t, one, map[string]any{"user": "a", "n": 12345678901})
	s.push(t, one, map[string]any{"user": "b"})
	s.push(t, two, map[string]any{"user": "c"})
	for _, version := range []string{"", "1", "2", "9"} {
		say(s.get(t, one, version))
	}
	tags := s.tags(t, one)
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		say(name + "=" + tags[name])
	}
	for _, name := range s.all(t, below+"eso/") {
		say(strings.TrimPrefix(name, below))
	}
	say(s.all(t, below+"eso/none/"))
	must[*api.Secret](t)(s.client.Logical().DeleteWithContext(t.Context(), s.mount+"/data/"+two))
	say(s.get(t, two, ""))
	s.remove(t, one)
	s.remove(t, two)
	say(s.get(t, one, ""))
	return said
}

// External Secrets finds the same through the gateway as in Vault, however it logs in, and
// each of its reads is decided on and recorded as one over REST.
func TestExternalSecrets(t *testing.T) {
	w := smallWorld(t, map[string]string{"JWT_HS256_SECRET": signer})
	key := authtest.NewKey("HS256", "")
	key.Private = []byte(signer)
	jwt := key.Sign(authtest.Claims("bot", map[string]any{"scope": "read write list delete"}))
	direct := storeOf(t, w.vault.Addr, w.vault.Token, "", nil)
	direct.client.SetHeaders(http.Header{}) // a Vault that is alone forwards nothing
	want := direct.conversation(t, "")
	for name, tc := range map[string]struct {
		subject, token, login string
		body                  map[string]any
	}{
		"token":      {"agent", agentKey, "", nil},
		"approle":    {"agent", "", "auth/approle/login", map[string]any{"role_id": "agent", "secret_id": agentKey}},
		"kubernetes": {"bot", "", "auth/kubernetes/login", map[string]any{"role": "eso", "jwt": jwt}},
		"jwt":        {"bot", "", "auth/jwt/login", map[string]any{"role": "eso", "jwt": jwt}},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeOf(t, w.url, tc.token, tc.login, tc.body)
			if ok, until := s.valid(t); !ok || until.IsZero() != (tc.login == "") {
				t.Errorf("the token: got %v until %v", ok, until)
			}
			if got := s.conversation(t, "mcp/"+tc.subject+"/"); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if tc.login != "" {
				s.close(t)
			}
		})
	}
	team := storeOf(t, w.url, agentKey, "", nil)
	team.client.SetNamespace("team")
	if _, err := team.client.Logical().Read("secret/data/mcp/agent/x"); status(err) != 400 || !strings.Contains(err.Error(), "VAULT_NAMESPACE") {
		t.Errorf("another namespace: got %v", err)
	}
	w.sameRecords(t)
}

// sameRecords: a read as External Secrets makes it and the same one over REST leave the same
// records, but for the transport and what is one record's own.
func (w *world) sameRecords(t *testing.T) {
	t.Helper()
	storeOf(t, w.url, agentKey, "", nil).push(t, "mcp/agent/eso/recorded", map[string]any{"a": "1"})
	for _, tc := range []struct{ list, below, rest string }{
		{"GET", "secret/data/mcp/agent/eso/recorded?version=1", "/kv/secret/mcp/agent/eso/recorded?version=1"},
		{"GET", "secret/data/mcp/other/x", "/kv/secret/mcp/other/x"},
		{"GET", "secret/metadata/mcp/agent/eso/recorded", "/kv/secret/mcp/agent/eso/recorded:metadata"},
		{"LIST", "secret/metadata/mcp/agent/eso/", "/kv/secret/mcp/agent/eso/"},
	} {
		before := len(w.ofCalls(t))
		w.send(t, tc.list, tc.below, agentKey, "")
		between := w.written(t, before)
		rest := *w
		rest.url += tc.rest
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, rest.url, nil))
		req.Header.Set("X-API-Key", agentKey)
		resp := must[*http.Response](t)(http.DefaultClient.Do(req))
		_ = resp.Body.Close()
		if got, want := facts(between), facts(w.written(t, before+len(between))); len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s %s:\n/v1/ %q\nREST %q", tc.list, tc.below, got, want)
		}
	}
}

// ofCalls are the records of calls: the gateway's own come in between.
func (w *world) ofCalls(t *testing.T) []map[string]any {
	t.Helper()
	return slices.DeleteFunc(w.records(t), func(r map[string]any) bool {
		return !slices.Contains([]string{"intent", "outcome", "refusal"}, fmt.Sprint(r["type"]))
	})
}

// written are the records behind the first ones, as soon as a call is complete in them.
func (w *world) written(t *testing.T, first int) (out []map[string]any) {
	t.Helper()
	w.waitFor(t, "the records of a call", func() bool {
		out = w.ofCalls(t)[first:]
		return len(out) > 0 && out[len(out)-1]["type"] != "intent"
	})
	return out
}

// facts are what of records is not their own alone.
func facts(records []map[string]any) (out []string) {
	for _, r := range records {
		for _, name := range []string{
			"seq", "prev", "time", "ts", "request_id", "decision_id", "correlation_id", "transport", "client", "duration_us", "bytes", "path_sha256",
		} {
			delete(r, name)
		}
		raw, err := json.Marshal(r)
		if err != nil {
			return nil
		}
		out = append(out, string(raw))
	}
	return out
}
