package callers_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// engineVault is a Vault that holds policies, and says which policies a token has.
type engineVault struct {
	held   map[string]string
	tokens []string // their policies
	listed bool     // whether the gateway may list policies
}

func (v *engineVault) send(_ context.Context, r wire.Request, a *wire.Answer) error {
	reply := `{"request_id":"1"}`
	name, isPolicy := strings.CutPrefix(r.Path, "sys/policies/acl/")
	switch {
	case r.Path == "sys/policies/acl":
		if !v.listed {
			return call.Errorf(call.Forbidden, "denied by Vault")
		}
		keys, _ := json.Marshal(slices.Sorted(maps.Keys(v.held)))
		reply = fmt.Sprintf(`{"request_id":"1","data":{"keys":%s}}`, keys)
	case isPolicy && r.Method == wire.Put:
		var body struct {
			Policy string `json:"policy"`
		}
		_ = json.Unmarshal(r.Body, &body)
		v.held[name] = body.Policy
	case isPolicy && r.Method == wire.Delete:
		delete(v.held, name)
	case isPolicy:
		reply = fmt.Sprintf(`{"request_id":"1","data":{"policy":%q}}`, v.held[name])
	default:
		var body struct {
			Policies []string `json:"policies"`
		}
		_ = json.Unmarshal(r.Body, &body)
		v.tokens = append(v.tokens, strings.Join(body.Policies, " "))
		reply = fmt.Sprintf(`{"request_id":"1","auth":{"client_token":"t%d","accessor":"a","lease_duration":90}}`, len(v.tokens))
	}
	if a == nil {
		return nil
	}
	return json.Unmarshal([]byte(reply), a)
}

// names are those of the policies that are held.
func (v *engineVault) names() string { return strings.Join(slices.Sorted(maps.Keys(v.held)), " ") }

// registry makes a registry in front of it. Whoever has a role may more with keys, and text
// is what its policies say.
func (v *engineVault) registry(text *string) *callers.Registry {
	return callers.New(callers.Config{
		Enabled: true, AsOf: func() string { return *text }, Engines: []string{"kv", "pki", "transit"},
		PolicyFor: func(c *call.Caller, engine string) (callers.Policies, error) {
			p := callers.Policies{Subject: engine + *text}
			if len(c.Roles) > 0 && engine == "transit" {
				p.Additional = "more" + *text
			}
			return p, nil
		},
	}, callers.Backend{Send: v.send, Timeout: time.Minute, RegisterToken: func(context.Context, string, tokencache.Token) error { return nil }})
}

func (v *engineVault) token(t *testing.T, r *callers.Registry, c *call.Caller, engine string, forLeases bool) string {
	t.Helper()
	tok, err := r.Of(c).TokenSource(c, engine, forLeases).Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok.Value
}

// TestATokenIsForOneEngine: it has the policies of that engine alone, and the next request
// on the engine has the same token.
func TestATokenIsForOneEngine(t *testing.T) {
	v, text := &engineVault{held: map[string]string{}}, " as of 1"
	r := v.registry(&text)
	plain, role := &call.Caller{Subject: "x"}, &call.Caller{Subject: "x", Roles: []string{"signer"}}
	for range 2 {
		for _, u := range []struct {
			c      *call.Caller
			engine string
			leases bool
			token  string
		}{{plain, "kv", false, "t1"}, {role, "kv", false, "t1"}, {plain, "transit", false, "t2"}, {role, "transit", false, "t3"}, {plain, "pki", true, "t4"}} {
			if got := v.token(t, r, u.c, u.engine, u.leases); got != u.token {
				t.Errorf("%v on %s: token %s, want %s", u.c.Roles, u.engine, got, u.token)
			}
		}
	}
	want := []string{"mcp-agent-x+kv", "mcp-agent-x+transit", "mcp-agent-x+transit mcp-agent-x+transit+", "mcp-agent-x+pki"}
	for i, w := range want {
		if i >= len(v.tokens) || !strings.HasPrefix(v.tokens[i], w) || strings.Count(v.tokens[i], " ") != strings.Count(w, " ") {
			t.Errorf("tokens have the policies %q, want %q", v.tokens, want)
		}
	}
	if v.held["mcp-agent-x+kv"] != "kv as of 1" || v.held["mcp-agent-x+transit"] != "transit as of 1" {
		t.Errorf("Vault holds %v", v.held)
	}
}

// TestPoliciesOfEnginesFollowTheData: those that a credential uses are changed, and those
// that none uses any more go.
func TestPoliciesOfEnginesFollowTheData(t *testing.T) {
	v, text := &engineVault{held: map[string]string{}}, " as of 1"
	r := v.registry(&text)
	stays, goes := &call.Caller{Subject: "x", KeyID: "1"}, &call.Caller{Subject: "x", KeyID: "2", Roles: []string{"signer"}}
	v.token(t, r, stays, "kv", false)
	v.token(t, r, goes, "kv", false)
	v.token(t, r, goes, "transit", false)
	s := r.Of(stays)
	if all, some := s.ForgetWhere(func(c *call.Caller) bool { return c.KeyID == "2" }); all || !some {
		t.Fatal("the credential is still there, or none is")
	}
	text = " as of 2"
	if err := s.ReconcilePolicies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(v.held) != 1 || v.held["mcp-agent-x+kv"] != "kv as of 2" {
		t.Errorf("Vault holds %v", v.held)
	}
}

// TestARevocationFindsThePoliciesOfAllEngines: also those that another replica has written,
// whether the gateway may list policies or not.
func TestARevocationFindsThePoliciesOfAllEngines(t *testing.T) {
	for _, listed := range []bool{true, false} {
		v, text := &engineVault{held: map[string]string{}, listed: listed}, ""
		other := v.registry(&text)
		for _, subject := range []string{"x", "xx"} {
			for _, engine := range []string{"kv", "pki", "transit"} {
				v.token(t, other, &call.Caller{Subject: subject}, engine, false)
			}
		}
		v.held["mcp-agent-x"] = "all engines, of an operator"
		if err := v.registry(&text).DeletePolicies(t.Context(), "/x", nil); err != nil {
			t.Error(err)
		}
		if got := v.names(); got != "mcp-agent-xx+kv mcp-agent-xx+pki mcp-agent-xx+transit" {
			t.Errorf("listed %v: Vault still holds %s", listed, got)
		}
	}
}
