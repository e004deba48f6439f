package policy_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// question is a call that a random walk asks.
type question struct {
	caller *call.Caller
	op     string
	args   string
	full   bool
	at     time.Time
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// questions come again often, and differ in one thing or another.
func ask(t testing.TB, r *rand.Rand) question {
	c := &call.Caller{
		Subject: pick(r, "agent_api", "b"), Tenant: pick(r, "", "", "acme"), Kind: pick(r, "agent", "human"),
		Prefix: path(t, pick(r, "mcp/agent_api", "mcp/b")), Roles: pick(r, nil, []string{"ci"}, []string{"ci", "x"}),
		Scopes: pick(r, []string{"read"}, []string{"read", "write"}, []string{"write", "read"}, nil),
		Tier:   pick(r, "", "ci"), Method: call.APIKey,
	}
	q := question{caller: c, at: time.Unix(pick(r, int64(1_699_999_999), 1_700_000_000, 1_700_000_001, 1_700_003_600), 0)}
	switch r.IntN(3) {
	case 0:
		q.op, q.args, q.full = "kv.read", fmt.Sprintf(`{"path":%q}`, pick(r, "a", "cards/1", "shared/banners/x", "mcp/agent_api/cards/1")), r.IntN(2) == 0
	case 1:
		q.op, q.args = "transit.hmac", fmt.Sprintf(`{"key":%q,"input":"aGk="}`, pick(r, "ending", "mcp", "none"))
	case 2:
		q.op, q.args = "db.issue_creds", fmt.Sprintf(`{"role":%q}`, pick(r, "readonly", "admin"))
	}
	return q
}

func (q question) bind(t testing.TB, cat *op.Catalogue) *op.Bound {
	b, err := cat.Bind(&op.Request{Op: q.op, Caller: q.caller, Args: []byte(q.args), Absolute: q.full, Time: q.at})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same compares what two decisions say.
func same(a, b op.Decision) bool {
	a.ID, b.ID, a.Cached, b.Cached = "", "", false, false
	at, bt := a.Grant.Terms(), b.Grant.Terms()
	at.DecisionID, bt.DecisionID = "", ""
	a.Grant, b.Grant = call.Grant{}, call.Grant{}
	return reflect.DeepEqual(a, b) && at == bt
}

// Whatever is asked, in whatever order, with policies that come and go and a clock
// that jumps, a cached decision is the one that would be made.
func TestCachedEqualsEvaluated(t *testing.T) {
	const rules = "../../fixtures/policy-good/"
	dir := team(t, map[string]string{})
	copyFile := func(name string) { write(t, dir, name, read(t, rules+name)) }
	for _, f := range []string{"payments.rego", "payments_test.rego", "duties.rego"} {
		copyFile(f)
	}
	data := []string{
		`{grants: {subjects: {agent_api: {transit: {ending: {expires_s: 1700000000}, mcp: {expires_s: 1700003600}}}}}, team: {payments: {frozen: {ice: true, b: true}}}}`,
		`{grants: {subjects: {agent_api: {transit: {ending: {expires_s: 1700000001, deliver: masked}}}}, roles: {ci: {db: {readonly: {max_ttl_s: 60}}, tier: ci}}}, tiers: {ci: {requests: 5, window_s: 1}}, team: {payments: {frozen: {ice: true}}}}`,
	}
	write(t, dir, "data.yaml", data[0])
	cat := catalogue(t)
	cached := open(t, policy.Config{Dir: dir, Catalogue: cat, CacheSize: 256})
	plain := open(t, policy.Config{Dir: dir, Catalogue: cat, CacheSize: -1})
	if !cached.Status().Cacheable {
		t.Fatal(cached.Status().Uncachable)
	}
	r := rand.New(rand.NewPCG(1, 2))
	pool := make([]question, 300)
	for i := range pool {
		pool[i] = ask(t, r)
	}
	hits := 0
	for i := range 4000 {
		if i%500 == 499 {
			write(t, dir, "data.yaml", data[i/500%2])
			for _, e := range []*policy.Engine{cached, plain} {
				if err := e.Reload(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		q := pool[r.IntN(len(pool))]
		b := q.bind(t, cat)
		got, want := cached.Decide(t.Context(), b), plain.Decide(t.Context(), b)
		if got.Cached {
			hits++
		}
		if want.Cached || !same(got, want) {
			t.Fatalf("question %d %+v of %+v:\ngot  %+v\nwant %+v", i, q, q.caller, got, want)
		}
	}
	if hits < 500 {
		t.Errorf("only %d answers came from the cache", hits)
	}
}

func TestADecisionIsKeptNoLongerThanItsCredential(t *testing.T) {
	e := open(t, policy.Config{})
	c := agent(t)
	c.Expires = at().Add(10 * time.Second)
	b := bind(t, c, "kv.read", `{"path":"a"}`)
	for _, step := range []struct {
		after  time.Duration
		cached bool
	}{{0, false}, {9 * time.Second, true}, {10 * time.Second, false}, {11 * time.Second, false}, {time.Second, true}} {
		b.Request.Time = at().Add(step.after)
		if d := e.Decide(t.Context(), b); d.Cached != step.cached {
			t.Errorf("after %v: cached %v, want %v", step.after, d.Cached, step.cached)
		}
	}
}

func TestAPolicyThatReadsTheSecondIsNotCached(t *testing.T) {
	dir := team(t, map[string]string{
		"x.rego": `package policy.deny.x

import rego.v2

# METADATA
# custom:
#   id: x.odd
deny contains {"code": "x.odd", "msg": "odd", "rule": "x.odd"} if {
	input.action.op == "kv.read"
	input.context.time.unix_s % 2 == 1
}
`,
		"x_test.rego": `package policy.deny.x_test

import rego.v2

test_odd if count(data.policy.deny.x.deny) == 1 with input as {"action": {"op": "kv.read"}, "context": {"time": {"unix_s": 3}}}
`,
	})
	e := open(t, policy.Config{Dir: dir})
	if s := e.Status(); s.Cacheable || s.Uncachable == "" {
		t.Errorf("got %+v", s)
	}
	b := bind(t, agent(t), "kv.read", `{"path":"a"}`)
	for i := range 4 {
		b.Request.Time = at().Add(time.Duration(i) * time.Second)
		if d := e.Decide(t.Context(), b); d.Allow != (i%2 == 0) || d.Cached {
			t.Errorf("second %d: %+v", i, d)
		}
	}
}
