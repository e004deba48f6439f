package program_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// An operation is possible if and only if some call of it is allowed.
func TestPossibleIsThatSomeCallIsAllowed(t *testing.T) {
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	holder := func(grants map[string]any) map[string]any {
		return map[string]any{"grants": map[string]any{
			"subjects": map[string]any{"a": grants},
			"roles":    map[string]any{"ci": map[string]any{"ssh": map[string]any{"ca": map[string]any{}}}},
		}}
	}
	policies := map[string]*program.Program{
		"no data": must(t, nil),
		"grants": must(t, holder(map[string]any{
			"transit": map[string]any{"k": map[string]any{"ops": []any{"transit.sign"}}, "old": map[string]any{"expires_s": 1.0}},
			"db":      map[string]any{"readonly": map[string]any{}},
		})),
		"a team that refuses an effect": must(t, nil, deny(`input.action.effect == "write"`)),
		"a team that refuses a path":    must(t, nil, deny(`"mcp/a/x" in input.resource.ancestors`)),
		"a team that wants an argument": must(t, nil, deny(`input.action.op == "kv.write"`+"\n"+`not "cas" in input.args.keys`)),
		"a team that refuses a caller":  must(t, nil, deny(`input.principal.kind == "agent"`)),
		"a team that refuses a key":     must(t, holder(map[string]any{"transit": map[string]any{"k": map[string]any{}}}), deny(`input.resource.path == "k"`)),
	}
	callers := []*call.Caller{
		{Subject: "a", Kind: "agent", Scopes: []string{"read", "list", "write", "delete"}},
		{Subject: "a", Kind: "human", Scopes: []string{"read"}},
		{Subject: "b", Kind: "agent", Roles: []string{"ci"}, Scopes: []string{"write"}},
		{Subject: "a", Tenant: "t", Kind: "agent", Scopes: []string{"read", "write"}},
		{Subject: "b", Kind: "agent"},
	}
	yes, no := 0, 0
	for name, p := range policies {
		for _, c := range callers {
			c.Prefix = parsed(t, "mcp/a")
			for _, o := range cat.All() {
				want, got := someAllowed(t, p, c, o), possible(t, p, c, o)
				if got != want {
					t.Errorf("%s: %s/%s (%s) %s: possible %v, allowed %v", name, c.Tenant, c.Subject, c.Kind, o.Name, got, want)
				}
				if want {
					yes++
				} else {
					no++
				}
			}
		}
	}
	if yes < 100 || no < 100 {
		t.Errorf("%d are possible and %d are not: the test looks at one side", yes, no)
	}
}

// Rules that together refuse everything that a call can say leave nothing possible, though
// none of them does alone.
func TestRulesThatRefuseEverythingTogether(t *testing.T) {
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	c := &call.Caller{Subject: "a", Kind: "agent", Prefix: parsed(t, "mcp/a"), Scopes: []string{"delete"}}
	for name, tc := range map[string]struct {
		want  bool
		rules []string
	}{
		"one client and all others":  {false, []string{`input.context.client.name == "x"`, `input.context.client.name != "x"`}},
		"two clients":                {true, []string{`input.context.client.name == "x"`, `input.context.client.name == "y"`}},
		"all but one, and all but x": {false, []string{`input.context.client.name != "y"`, `input.context.client.name != "x"`}},
		"for good or not":            {false, []string{`input.action.destructive`, `not input.action.destructive`}},
		"one that may be missing":    {true, []string{`input.args.values.cas == 1`, `input.args.values.cas != 1`}},
		"a number spelt twice":       {false, []string{`input.request.ttl_s == 1`, `input.request.ttl_s != 1.0`}},
		"a list spelt twice":         {false, []string{`input.args.values.versions == [1]`, `not input.args.values.versions == [1.0]`}},
		"and one that is missing":    {false, []string{`input.args.values.cas == 1`, `not input.args.values.cas == 1`}},
		"each half of two": {false, []string{
			"input.action.destructive\ninput.request.reason == \"\"", "input.action.destructive\ninput.request.reason != \"\"", `not input.action.destructive`,
		}},
		"but for one": {true, []string{
			"input.action.destructive\ninput.request.reason == \"\"", "not input.action.destructive\ninput.request.reason != \"\"", `input.request.reason == "x"`,
		}},
		"an argument that each has":   {false, []string{`"path" in input.args.keys`}},
		"one that none has":           {false, []string{`not "ttl" in input.args.keys`}},
		"one that some have":          {true, []string{`not "versions" in input.args.keys`}},
		"what none has has no value":  {true, []string{`input.args.values.ttl != 1`}},
		"nor is it a certain one":     {false, []string{`not input.args.values.ttl == 1`}},
		"each has one, looked for":    {false, []string{"some k in input.args.keys\nk == \"path\""}},
		"each has one, by its number": {false, []string{`input.args.keys[_] == "path"`}},
		"what depends on another":     {true, []string{"some k in input.args.keys\nk != \"path\"", "not \"all\" in input.args.keys"}},
	} {
		if got := possible(t, must(t, nil, apart(tc.rules)...), c, cat.Get("kv.delete")); got != tc.want {
			t.Errorf("%s: possible %v, want %v", name, got, tc.want)
		}
	}
}

// apart are modules of teams of their own.
func apart(bodies []string) (out []string) {
	for i, b := range bodies {
		out = append(out, strings.Replace(deny(b), "policy.deny.t", fmt.Sprintf("policy.deny.t%d", i), 1))
	}
	return out
}

func parsed(t *testing.T, s string) call.Path {
	t.Helper()
	p, err := call.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// possible asks as lists do: anywhere, or with nothing and every name that is
// granted.
func possible(t *testing.T, p *program.Program, c *call.Caller, o *op.Op) bool {
	t.Helper()
	f := document.FactsOfList(c, o, time.Unix(1_700_000_000, 0))
	yes := func(ok bool, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if o.Engine == "kv" || o.Engine == "self" {
		return yes(p.PossibleAnywhere(t.Context(), f))
	}
	if yes(p.Possible(t.Context(), f)) {
		return true
	}
	for _, name := range p.Granted(c, o.Engine) {
		f.Resource.Path = parsed(t, name)
		if yes(p.Possible(t.Context(), f)) {
			return true
		}
	}
	return false
}

// someAllowed tries resources and arguments until one is allowed.
func someAllowed(t *testing.T, p *program.Program, c *call.Caller, o *op.Op) bool {
	t.Helper()
	for _, path := range []string{"", "mcp/a", "mcp/a/x", "mcp/a/y", "k", "old", "readonly", "ca", "none"} {
		for _, keys := range [][]string{nil, {"cas"}} {
			f := document.FactsOfList(c, o, time.Unix(1_700_000_000, 0))
			if path != "" {
				f.Resource.Path = parsed(t, path)
			}
			f.Keys = keys
			in := f.Input(document.Everything())
			if out, err := p.Decide(t.Context(), &in, time.Minute); err == nil && out.Allow {
				return true
			}
		}
	}
	return false
}
