package policycmd_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/policycmd"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/reach"
)

type reached struct {
	Bound   string        `json:"bound"`
	Entries []reach.Entry `json:"entries"`
}

func reachOf(t testing.TB, dir string, f reach.Filter) reached {
	t.Helper()
	p, out := on(t, dir)
	p.Format = policycmd.JSON
	if err := p.Reach(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	var r reached
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

const estate = `grants:
  subjects:
    agent_api: {kv: {shared/banners: {ops: [kv.read, kv.list]}}, transit: {mcp: {}}}
  roles:
    ci: {db: {readonly: {max_ttl_s: 600}}}
tenants:
  acme: {subjects: {agent_api: {kv: {acme: {}}}}}
`

func TestReachListsWhoCanDoWhat(t *testing.T) {
	dir := dirOf(t, map[string]string{"data.yaml": estate})
	all := reachOf(t, dir, reach.Filter{})
	if all.Bound != "upper" {
		t.Errorf("bound %q", all.Bound)
	}
	has := func(r reached, e reach.Entry) bool { return slices.Contains(r.Entries, e) }
	for _, e := range []reach.Entry{
		{Subject: "agent_api", Op: "kv.read", Mount: "secret", Path: "shared/banners", Via: "grants.subjects.agent_api.kv.shared/banners"},
		{Subject: "agent_api", Op: "transit.encrypt", Mount: "transit", Path: "mcp", Via: "grants.subjects.agent_api.transit.mcp"},
		{Role: "ci", Op: "db.issue_creds", Mount: "database", Path: "readonly", Via: "grants.roles.ci.db.readonly"},
		{Tenant: "acme", Subject: "agent_api", Op: "kv.write", Mount: "secret", Path: "acme", Via: "tenants.acme.subjects.agent_api.kv.acme"},
		{Tenant: "*", Subject: "*", Op: "kv.read", Mount: "secret", Path: "{prefix}", Via: "gateway.granted.own"},
	} {
		if !has(all, e) {
			t.Errorf("no %+v", e)
		}
	}
	for name, tt := range map[string]struct {
		f      reach.Filter
		in     []string
		absent []string
	}{
		"path":  {reach.Filter{Path: "shared/banners/x", Op: "kv.read"}, []string{"shared/banners", "{prefix}"}, []string{"acme", "mcp", "readonly"}},
		"op":    {reach.Filter{Op: "db.issue_creds"}, []string{"readonly"}, []string{"shared/banners", "{prefix}"}},
		"role":  {reach.Filter{Who: "ci"}, []string{"readonly", "{prefix}"}, []string{"shared/banners"}},
		"above": {reach.Filter{Path: "shared"}, []string{"shared/banners"}, []string{"acme"}},
	} {
		var paths []string
		for _, e := range reachOf(t, dir, tt.f).Entries {
			paths = append(paths, e.Path)
		}
		for _, want := range tt.in {
			if !slices.Contains(paths, want) {
				t.Errorf("%s: %q is not in %v", name, want, paths)
			}
		}
		for _, other := range tt.absent {
			if slices.Contains(paths, other) {
				t.Errorf("%s: %q is in %v", name, other, paths)
			}
		}
	}
	p, out := on(t, dir)
	if err := p.Reach(t.Context(), reach.Filter{Op: "kv.raed"}); err == nil {
		t.Errorf("an operation that is none: %s", out)
	}
}

// random makes data and inputs over few names, so that they often meet.
type random struct{ *rand.Rand }

func (r random) one(of ...string) string { return of[r.IntN(len(of))] }

func (r random) path() string {
	var segments []string
	for range 1 + r.IntN(3) {
		segments = append(segments, r.one("a", "b", "a1", "shared", "s", "x-s", "r", "r-b", "t"))
	}
	return strings.Join(segments, "/")
}

// pattern is the name of a grant of secrets, often with wildcards and templates.
func (r random) pattern() string {
	if r.IntN(3) == 0 {
		return r.path()
	}
	var segments []string
	for range 1 + r.IntN(3) {
		segments = append(segments, r.one("a", "b", "a1", "shared", "+", "{principal}", "{role}", "{tenant}", "{claims.team}", "x-{principal}", "r-{claims.team}"))
	}
	if r.IntN(3) == 0 {
		segments = append(segments, "*")
	}
	return strings.Join(segments, "/")
}

func (r random) grant(ops ...string) map[string]any {
	g := map[string]any{}
	if r.IntN(2) == 0 {
		list := []string{}
		for range r.IntN(3) {
			list = append(list, r.one(ops...))
		}
		g["ops"] = list
	}
	if r.IntN(4) == 0 {
		g["expires_s"] = []int{1_000_000_000, 4_000_000_000}[r.IntN(2)]
	}
	if r.IntN(4) == 0 {
		g["deliver"] = r.one("masked", "plain")
	}
	return g
}

func (r random) holder() map[string]any {
	kv, transit := map[string]any{}, map[string]any{}
	for range r.IntN(4) {
		kv[r.pattern()] = r.grant("kv.read", "kv.list", "kv.write", "kv.delete")
		transit[r.one("k", "k1", "k2", "+", "{principal}", "k-{role}")] = r.grant("transit.encrypt", "transit.decrypt")
	}
	return map[string]any{"kv": kv, "transit": transit}
}

func (r random) table() map[string]any {
	return map[string]any{
		"subjects": map[string]any{"s": r.holder(), "s1": r.holder()},
		"roles":    map[string]any{"r": r.holder(), "r1": r.holder(), "s": r.holder()},
	}
}

func (r random) bundle(t testing.TB, core *bundle.Bundle) *program.Program {
	t.Helper()
	raw, err := yaml.Marshal(map[string]any{"version": 2, "grants": r.table(), "tenants": map[string]any{"t": r.table()}})
	if err != nil {
		t.Fatal(err)
	}
	team, err := bundle.Read(dirOf(t, map[string]string{"data.yaml": string(raw)}), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Compile(t.Context(), core, team)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return p
}

func (r random) input(t testing.TB) document.Input {
	o := r.one("kv.read", "kv.list", "kv.write", "kv.delete", "kv.destroy", "transit.encrypt", "transit.decrypt", "transit.random", "db.leases", "self.whoami")
	op := catalogue(t).Get(o)
	in := document.Input{V: document.Version}
	in.Principal = document.Principal{ID: r.one("s", "s1", "other"), Tenant: r.one("", "t", "u"), Prefix: r.path(), Scopes: []string{"read", "list", "write", "delete"}}
	if r.IntN(2) == 0 {
		in.Principal.Roles = []string{r.one("r", "r1", "x", "s"), r.one("x", "r")}
	}
	if r.IntN(2) == 0 {
		in.Principal.Claims = map[string]any{"team": r.one("a", "b", "a/b", "+", "*", "")}
	}
	in.Action = document.Action{Op: op.Name, Engine: op.Engine, Effect: string(op.Effect), Public: op.Public}
	in.Resource.Mount = op.Mount
	in.Context.Time = document.At(time.Unix(1_700_000_000, 0))
	switch op.Engine {
	case "kv":
		in.Resource.Path = r.path()
		if r.IntN(3) == 0 {
			in.Resource.Path = in.Principal.Prefix + "/" + r.path()
		}
	case "transit":
		if o != "transit.random" {
			in.Resource.Path = r.one("k", "k1", "k2", "s", "k-r", "k-x")
		}
	}
	if p, err := call.ParsePath(in.Resource.Path); err == nil {
		in.Resource.Ancestors = p.Ancestors()
	}
	return in
}

// bundles is how many random bundles a property is tried with, and seed makes others of
// them; `make properties` is the long form.
var (
	bundles = flag.Int("policies", 40, "random policies of each property")
	seed    = flag.Uint64("seed", 1, "what random policies come of")
)

// No call that a policy allows lies outside of what reach lists.
func TestNoAllowedCallIsOutOfReach(t *testing.T) {
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	r, allowed := random{rand.New(rand.NewPCG(1, *seed))}, 0
	ops := catalogue(t).All()
	for range *bundles {
		p := r.bundle(t, core)
		entries := reach.Bound(p.Data, ops, 1_700_000_000)
		for range 100 {
			in := r.input(t)
			out, err := p.Decide(t.Context(), &in, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if !out.Allow {
				continue
			}
			allowed++
			who := reach.Caller{Tenant: in.Principal.Tenant, Subject: in.Principal.ID, Prefix: in.Principal.Prefix, Roles: in.Principal.Roles}
			if !slices.ContainsFunc(entries, func(e reach.Entry) bool { return e.Allows(who, in.Action.Op, in.Resource.Path) }) {
				t.Fatalf("allowed and not in reach: %+v", in)
			}
		}
	}
	if allowed < 5**bundles {
		t.Errorf("only %d calls of %d bundles were allowed: the property was hardly tried", allowed, *bundles)
	}
}

func TestDiffTellsWhatWidens(t *testing.T) {
	deny := func(body, msg string) string {
		return "package policy.deny.x\n\nimport rego.v2\n\n# METADATA\n# custom:\n#   id: x.rule\ndeny contains {\"code\": \"x\", \"msg\": \"" + msg + "\", \"rule\": \"x.rule\"} if {\n\t" + body + "\n}\n\nbad(o) if o in {\"kv.read\"}\n"
	}
	rule := deny("input.principal.kind == \"agent\"\n\tbad(input.action.op)", "no")
	base := map[string]string{
		"data.yaml": "grants: {subjects: {a: {kv: {shared: {ops: [kv.read]}}, db: {ro: {max_ttl_s: 60}}}}}\nobligations: {kv.read: {deliver: masked}}\nteam: {x: {n: 1}}\n",
		"x.rego":    rule,
	}
	for name, tt := range map[string]struct {
		file, old, new string
		wider          bool
		want           string
	}{
		"the same":              {"data.yaml", "shared", "shared", false, "0 changes widen, 0 narrow"},
		"another path":          {"data.yaml", "shared", "shared/x", false, "narrows: grant"},
		"a path above":          {"data.yaml", "{kv: {shared: {ops: [kv.read]}}", "{kv: {shared: {ops: [kv.read]}, top: {ops: [kv.read]}}", true, `a kv.read "top" can be reached now`},
		"another operation":     {"data.yaml", "[kv.read]", "[kv.read, kv.write]", true, "kv.write"},
		"every operation":       {"data.yaml", "{ops: [kv.read]}", "{}", true, "kv.delete"},
		"fewer operations":      {"data.yaml", "[kv.read]", "[]", false, "narrows: grant"},
		"a nested grant":        {"data.yaml", "shared: {ops: [kv.read]}", "shared: {ops: [kv.read]}, shared/t: {ops: [kv.read]}", false, "0 changes widen"},
		"a longer life":         {"data.yaml", "max_ttl_s: 60", "max_ttl_s: 600", true, "max_ttl_s: 600, before 60"},
		"a shorter life":        {"data.yaml", "max_ttl_s: 60", "max_ttl_s: 6", false, "narrows: duty"},
		"no bound":              {"data.yaml", "{max_ttl_s: 60}", "{}", true, "max_ttl_s: none, before 60"},
		"an operation's duty":   {"data.yaml", "{deliver: masked}", "{}", true, "obligations.kv.read"},
		"a tighter duty":        {"data.yaml", "{deliver: masked}", "{deliver: wrapped}", false, "narrows: duty"},
		"data of a rule":        {"data.yaml", "n: 1", "n: 2", true, "team.x"},
		"a rule is gone":        {"x.rego", rule, "package policy.lib.x\n\nimport rego.v2\n\ny := 1\n", true, "x.rule: the rule is gone"},
		"another message":       {"x.rego", `"no"`, `"never"`, false, "rules changed: x.rule"},
		"one condition more":    {"x.rego", "\tbad(", "\tinput.resource.path == \"p\"\n\tbad(", true, "may speak less often"},
		"one condition less":    {"x.rego", "input.principal.kind == \"agent\"\n", "\n", false, "narrows: rule x.rule"},
		"another condition":     {"x.rego", `"agent"`, `"service"`, true, "may speak less often"},
		"what a condition uses": {"x.rego", `{"kv.read"}`, `{"kv.write"}`, true, "what the rule uses was changed"},
		"dry run":               {"x.rego", `"rule": "x.rule"}`, `"rule": "x.rule", "mode": "dry_run"}`, true, "dry run"},
	} {
		t.Run(name, func(t *testing.T) {
			next := map[string]string{"data.yaml": base["data.yaml"], "x.rego": base["x.rego"]}
			next[tt.file] = strings.Replace(next[tt.file], tt.old, tt.new, 1)
			p, out := on(t, dirOf(t, next))
			old, _ := on(t, dirOf(t, base))
			err := p.Diff(t.Context(), old)
			if errors.Is(err, policycmd.ErrFound) != tt.wider || err != nil && !tt.wider {
				t.Errorf("got %v, want it wider: %v\n%s", err, tt.wider, out)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, out)
			}
		})
	}
	p, out := on(t, dirOf(t, base))
	old, _ := on(t, "/none")
	if err := p.Diff(t.Context(), old); err == nil || errors.Is(err, policycmd.ErrFound) {
		t.Errorf("a policy that is missing: %v", err)
	}
	p.Format = policycmd.JSON
	if err := p.Diff(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	var d struct {
		Widens, Narrows []any
		Rules           struct{ Added, Removed, Changed []string }
	}
	if err := json.Unmarshal(out.Bytes(), &d); err != nil || d.Widens == nil || d.Narrows == nil || d.Rules.Added == nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Under the tightened policy no recorded call flips, and there is nothing more to
// tighten.
func TestTightenKeepsEveryRecordedCall(t *testing.T) {
	data := `# who may use what
grants:
  subjects:
    agent_api:
      transit: {mcp: {}, idle: {}}
      db: {readonly: {max_ttl_s: 60}}
      kv: {mcp/agent_api/cards: {deliver: masked}, shared: {ops: [kv.read, kv.write]}}
  roles:
    ci: {transit: {mcp: {}}}
`
	dir := dirOf(t, map[string]string{"data.yaml": data})
	log, made := logged(t, policy.Config{Dir: dir},
		[2]string{"transit.hmac", `{"key":"mcp","input":"aGk="}`}, [2]string{"kv.read", `{"path":"a"}`}, [2]string{"transit.hmac", `{"key":"none","input":"aGk="}`})
	if !made[0].Allow || !made[1].Allow || made[2].Allow {
		t.Fatalf("decided %+v", made)
	}
	tighten := func(dir string) (string, string, error) {
		out := filepath.Join(t.TempDir(), "out")
		p, said := on(t, dir)
		err := p.Tighten(t.Context(), strings.NewReader(log), out)
		return out, said.String(), err
	}
	tight, said, err := tighten(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(tight, "data.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for want, there := range map[string]bool{
		"# who may use what": true, "mcp: {ops: [transit.hmac]}": true, "idle": false, "readonly": false, "shared": false, "deliver: masked": true,
	} {
		if strings.Contains(string(text), want) != there {
			t.Errorf("%q is there: %v, want %v in\n%s", want, !there, there, text)
		}
	}
	p, out := on(t, tight)
	if r, err := p.Replay(t.Context(), strings.NewReader(log)); err != nil || r.Flips != 0 || r.Decisions != 3 {
		t.Errorf("replay: %+v, %v\n%s", r, err, out)
	}
	old, _ := on(t, dir)
	p, out = on(t, tight)
	if err := p.Diff(t.Context(), old); err != nil {
		t.Errorf("the tightened policy widens: %v\n%s", err, out)
	}
	if _, said, err := tighten(tight); err != nil || !strings.Contains(said, "0 changes") {
		t.Errorf("a second run: %v\n%s", err, said)
	}
	if err := p.Tighten(t.Context(), strings.NewReader(log), tight); err == nil {
		t.Error("a directory with files is written over")
	}
	if err := p.Tighten(t.Context(), strings.NewReader(""), t.TempDir()); err == nil {
		t.Error("an empty log takes every grant away")
	}
}

// A log that hides who called does not make grants look unused.
func TestTightenRefusesALogThatHidesTheCaller(t *testing.T) {
	dir := dirOf(t, map[string]string{"data.yaml": "grants: {subjects: {agent_api: {transit: {mcp: {}}}}}\nmasks: [principal.id]\n"})
	log, _ := logged(t, policy.Config{Dir: dir}, [2]string{"transit.hmac", `{"key":"mcp","input":"aGk="}`})
	p, out := on(t, dir)
	if err := p.Tighten(t.Context(), strings.NewReader(log), t.TempDir()); err == nil || !strings.Contains(err.Error(), "principal.id") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestCoverageNamesWhatNobodyUsed(t *testing.T) {
	dir := ruled(t, `input.args.values.valid_principals == "root"`, `{"args": {"values": {"valid_principals": "root"}}}`,
		"grants: {subjects: {agent_api: {ssh: {ca: {}}, transit: {idle: {}}}}}\n")
	log, _ := logged(t, policy.Config{Dir: dir}, signing("ubuntu"))
	p, out := on(t, dir)
	if err := p.Coverage(t.Context(), strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"unused: the grant grants.subjects.agent_api.transit.idle", "ssh.otp", "silent: the rule x.rule"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	log, _ = logged(t, policy.Config{Dir: dir}, signing("root"))
	p, out = on(t, dir)
	if err := p.Coverage(t.Context(), strings.NewReader(log)); err != nil || strings.Contains(out.String(), "silent") {
		t.Errorf("%v\n%s", err, out)
	}
}

func ExamplePolicy_Schema() {
	p := policycmd.Policy{Out: os.Stdout}
	fmt.Println(p.Schema("nothing") != nil)
	// Output: true
}
