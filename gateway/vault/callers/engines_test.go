package callers_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// TestPoliciesOfEnginesFollowTheData: also those of an engine that no credential uses any
// more, because another replica, or a lease, may need them.
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
	if len(v.held) != 2 || v.held["mcp-agent-x+kv"] != "kv as of 2" || v.held["mcp-agent-x+transit"] != "transit as of 2" {
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

// TestRightsOfBeforeAChangeDoNotStay: those that were being worked out when the data changed
// are worked out again.
func TestRightsOfBeforeAChangeDoNotStay(t *testing.T) {
	v, text := &engineVault{held: map[string]string{}}, " as of 1"
	r := v.registry(&text)
	c := &call.Caller{Subject: "x"}
	v.token(t, r, c, "kv", false)
	before := r.PolicyFor
	r.PolicyFor = func(c *call.Caller, engine string) (callers.Policies, error) {
		p, err := before(c, engine)
		if engine == "pki" && text == " as of 1" { // which change now, and the caller is looked after
			text = " as of 2"
			if err := r.Of(c).ReconcilePolicies(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return p, err
	}
	v.token(t, r, c, "pki", false)
	if err := r.Of(c).ReconcilePolicies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v.held["mcp-agent-x+pki"] != "pki as of 2" || v.held["mcp-agent-x+kv"] != "kv as of 2" {
		t.Errorf("Vault holds %v", v.held)
	}
}

// TestAdoptedRightsOfBeforeAChangeDoNotStay: nor those of policies that were in Vault before
// the gateway started.
func TestAdoptedRightsOfBeforeAChangeDoNotStay(t *testing.T) {
	v, text := &engineVault{held: map[string]string{"mcp-agent-x+pki": "of before"}}, " as of 1"
	r := v.registry(&text)
	c := &call.Caller{Subject: "x"}
	v.token(t, r, c, "kv", false)
	before := r.PolicyFor
	r.PolicyFor = func(c *call.Caller, engine string) (callers.Policies, error) {
		p, err := before(c, engine)
		if engine == "pki" && text == " as of 1" {
			text = " as of 2"
			if err := r.Of(c).ReconcilePolicies(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return p, err
	}
	if err := r.Of(c).AdoptPolicies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Of(c).ReconcilePolicies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v.held["mcp-agent-x+pki"] != "pki as of 2" {
		t.Errorf("Vault holds %v", v.held)
	}
}

// TestAReplicaLeavesThePoliciesThatOthersNeed: those of an engine that none of its own
// credentials uses any more.
func TestAReplicaLeavesThePoliciesThatOthersNeed(t *testing.T) {
	v, text := &engineVault{held: map[string]string{}}, " as of 1"
	here, there := v.registry(&text), v.registry(&text)
	one, two := &call.Caller{Subject: "x", KeyID: "1"}, &call.Caller{Subject: "x", KeyID: "2"}
	v.token(t, here, one, "kv", false)
	v.token(t, here, two, "pki", true)
	here.Of(one).ForgetWhere(func(c *call.Caller) bool { return c.KeyID == "2" })
	v.token(t, there, one, "pki", true)
	text = " as of 2"
	for _, r := range []*callers.Registry{there, here, there} {
		if err := r.Of(one).ReconcilePolicies(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if v.held["mcp-agent-x+pki"] != "pki as of 2" {
		t.Errorf("Vault holds %v", v.held)
	}
}

// TestPoliciesOfBeforeARestartAreAdopted: tokens of leases have them, and live on.
func TestPoliciesOfBeforeARestartAreAdopted(t *testing.T) {
	v, text := &engineVault{held: map[string]string{}}, " as of 1"
	c := &call.Caller{Subject: "x"}
	before := v.registry(&text)
	v.token(t, before, c, "kv", false)
	v.token(t, before, c, "pki", true)
	text = " as of 2"
	r := v.registry(&text)
	r.Add("", "x")
	v.token(t, r, c, "kv", false)
	for range 2 {
		if err := r.Of(c).AdoptPolicies(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := v.names(); got != "mcp-agent-x+kv mcp-agent-x+pki" || v.held["mcp-agent-x+pki"] != "pki"+text {
			t.Errorf("Vault holds %v", v.held)
		}
		text = " as of 3"
		if err := r.Of(c).ReconcilePolicies(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryRequestThatWasDeniedIsSentAgain: once its caller's policies are right, whoever
// of those that were denied together has corrected them.
func TestEveryRequestThatWasDeniedIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, text := &engineVault{held: map[string]string{}}, ""
		r := v.registry(&text)
		c := &call.Caller{Subject: "x"}
		v.token(t, r, c, "kv", false)
		time.Sleep(time.Minute)
		delete(v.held, "mcp-agent-x+kv")
		sent := time.Now()
		time.Sleep(time.Millisecond)
		again := make(chan bool)
		for range 4 {
			go func() { again <- r.Of(c).RepairPolicies(context.Background(), c, "kv", sent) }()
		}
		for range 4 {
			if !<-again {
				t.Error("a request is not sent again")
			}
		}
		if r.Of(c).RepairPolicies(t.Context(), c, "kv", time.Now()) {
			t.Error("a request that was sent afterwards is sent again")
		}
	})
}

// TestARepairIsTheCallersOwn: on whose behalf it calls does not narrow what it may itself.
func TestARepairIsTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, text := &engineVault{held: map[string]string{}}, ""
		r := v.registry(&text)
		before := r.PolicyFor
		r.PolicyFor = func(c *call.Caller, engine string) (callers.Policies, error) {
			if c.Behalf != nil {
				return callers.Policies{Additional: "less", Replaces: true}, nil
			}
			return before(c, engine)
		}
		c := &call.Caller{Subject: "x", Behalf: &call.Caller{Subject: "somebody"}}
		v.token(t, r, c, "kv", false)
		time.Sleep(time.Minute)
		delete(v.held, "mcp-agent-x+kv")
		if !r.Of(c).RepairPolicies(t.Context(), c, "kv", time.Now().Add(-time.Second)) || v.names() != "mcp-agent-x+kv" {
			t.Errorf("Vault holds %v", v.held)
		}
	})
}
