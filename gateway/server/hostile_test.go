package server_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/vault/vaulttest"
)

// hostile is how many callers with hostile names there are; make hostile asks for more.
var hostile = flag.Int("hostile", 60, "callers whose names, roles and claims are hostile")

const hostileSigner = "signs-the-tokens-of-hostile-callers-0123456789"

// A caller's name in Vault, and all that a template or a path can be made of.
var (
	caseMark  = regexp.MustCompile(`/[0-9a-f]{32}$`) // of a name with capitals
	plainName = regexp.MustCompile(`^[\w.@~-]*(/[\w.@~-]+)?$`)
	plainPath = regexp.MustCompile(`^mcp/~[\w.@~-]+/[\w.@~-]+$`)
	dots      = regexp.MustCompile(`/\.{1,2}/`)
	ownSecret = regexp.MustCompile(`^secret/(data|metadata)/mcp/~[\w.@~-]+/[\w.@~-]+/app$`)
	ofItself  = regexp.MustCompile(`^(auth/portcullis/login|auth/token/(lookup|renew)-self|sys/internal/ui/mounts/\w+|secret/(data|metadata)/mcp/\.leases(/.*)?)$`)
)

// TestHostileCallers: where each caller logs in to Vault as itself, nothing that it calls
// itself gets into what Vault makes templates of, into a policy, or into a path: each has
// its own secret, and nobody else's.
func TestHostileCallers(t *testing.T) {
	k := newKeyless(t, "JWT_HS256_SECRET="+hostileSigner, "JWT_TENANT_CLAIM=org", "JWT_KIND_CLAIM=kind")
	key := authtest.NewKey("HS256", "")
	key.Private = []byte(hostileSigner)
	policies, before := k.policies(), len(k.vault.Audit())
	r := rand.New(rand.NewPCG(7, 11))
	in := 0
	for i := range *hostile {
		more := map[string]any{"scope": "read write", "roles": []string{authtest.Hostile(r), authtest.Hostile(r)}, "groups": []string{authtest.Hostile(r)}, "email": authtest.Hostile(r), "org": "acme"}
		if i%4 == 0 {
			more["org"] = authtest.Hostile(r)
		}
		if i%5 == 0 {
			more["kind"] = authtest.Hostile(r)
		}
		subject := authtest.Hostile(r)
		in += k.asHostile(t, i, key.Sign(authtest.Claims(subject, more)), subject)
	}
	if in < *hostile/2 {
		t.Errorf("only %d of %d callers were let in", in, *hostile)
	}
	if after := k.policies(); after != policies {
		t.Errorf("the policies in Vault were\n%s\nand are\n%s", policies, after)
	}
	for _, e := range k.vault.Audit()[before:] {
		if p := strings.Trim(e.Request.Path, "/"); !ownSecret.MatchString(p) && !ofItself.MatchString(p) && !strings.HasPrefix(p, "sys/policies/acl") {
			t.Errorf("Vault was asked for %q", p)
		}
	}
	k.aliases(t, in)
	t.Logf("%d of %d callers were let in", in, *hostile)
}

// asHostile writes and reads a secret as the bearer of a token, tries what is somebody
// else's, and returns 1 when it was let in.
func (k *keyless) asHostile(t *testing.T, i int, token, subject string) int {
	t.Helper()
	bearer := "Authorization: Bearer " + token
	status, body := k.with(t, "PUT", "/secrets/app", fmt.Sprintf(`{"data":{"of":"caller %d."}}`, i), bearer)
	if status == 401 || status == 431 {
		return 0
	}
	if status != 200 {
		t.Errorf("%.60q writes its own: got %d %s", subject, status, body)
	}
	if status, body := k.with(t, "GET", "/secrets/app", "", bearer); status != 200 || !strings.Contains(body, fmt.Sprintf(`"caller %d."`, i)) {
		t.Errorf("%.60q reads its own: got %d %s", subject, status, body)
	}
	for _, path := range []string{"/kv/secret/mcp/narrow/app", "/v1/secret/data/mcp/wide/app", "/v1/secret/metadata/mcp?list=true"} {
		if status, body := k.with(t, "GET", path, "", bearer); status != 403 {
			t.Errorf("%.60q reads %s: got %d %s", subject, path, status, body)
		}
	}
	return 1
}

// with sends a request with a header of its own in the place of an API key.
func (k *keyless) with(t *testing.T, method, path, body, header string) (int, string) {
	t.Helper()
	name, value, _ := strings.Cut(header, ": ")
	return k.request(t, method, path, body, http.Header{name: {value}})
}

// policies are all of Vault's, names and texts.
func (k *keyless) policies() string {
	var list struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	k.vault.Do(vaulttest.Request{Method: "LIST", Path: "sys/policies/acl"}, &list)
	var b strings.Builder
	for _, name := range list.Data.Keys {
		var one struct {
			Data struct {
				Policy string `json:"policy"`
			} `json:"data"`
		}
		k.vault.Do(vaulttest.Request{Method: "GET", Path: "sys/policies/acl/" + name}, &one)
		fmt.Fprintf(&b, "%s:\n%s\n", name, one.Data.Policy)
	}
	return b.String()
}

// aliases looks at what Vault has about each caller that was let in, each of which is
// another.
func (k *keyless) aliases(t *testing.T, in int) {
	t.Helper()
	var list struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	k.vault.Do(vaulttest.Request{Method: "LIST", Path: "identity/entity-alias/id"}, &list)
	prefixes := map[string]bool{}
	for _, id := range list.Data.Keys {
		var one struct {
			Data struct {
				Name     string            `json:"name"`
				Metadata map[string]string `json:"metadata"`
			} `json:"data"`
		}
		k.vault.Do(vaulttest.Request{Method: "GET", Path: "identity/entity-alias/id/" + id}, &one)
		a := one.Data
		if a.Name == "gateway/" {
			continue
		}
		if dots.MatchString("/"+a.Metadata["prefix"]+"/") || !plainName.MatchString(caseMark.ReplaceAllString(a.Name, "")) || !plainPath.MatchString(a.Metadata["prefix"]) || prefixes[a.Metadata["prefix"]] {
			t.Errorf("the alias %q has the prefix %q", a.Name, a.Metadata["prefix"])
		}
		prefixes[a.Metadata["prefix"]] = true
		for name, v := range a.Metadata {
			if name != "prefix" && name != "role" && !plainName.MatchString(v) {
				t.Errorf("the alias %q has the %s %q", a.Name, name, v)
			}
		}
	}
	if len(prefixes) == 0 || len(prefixes) > in {
		t.Errorf("got %d aliases of %d callers", len(prefixes), in)
	}
}
