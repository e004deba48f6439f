package program_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

func compile(ctx context.Context, data map[string]any, rego ...string) (*program.Program, error) {
	core, err := bundle.Core()
	if err != nil {
		return nil, err
	}
	team := &bundle.Bundle{Place: "dir", Data: data}
	for i, text := range rego {
		team.Rules = append(team.Rules, bundle.File{Name: fmt.Sprintf("f%d.rego", i), Text: []byte(text)})
	}
	return program.Compile(ctx, core, team)
}

func must(t testing.TB, data map[string]any, rego ...string) *program.Program {
	t.Helper()
	p, err := compile(t.Context(), data, rego...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// own is a call that the default policy allows.
func own(t testing.TB) document.Input {
	t.Helper()
	in, err := document.ParseInput([]byte(`{"v":1,
		"principal":{"id":"a","prefix":"mcp/a","scopes":["read"]},
		"action":{"op":"kv.read","engine":"kv","effect":"read"},
		"resource":{"mount":"secret","path":"mcp/a/x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func deny(body string) string {
	return "package policy.deny.t\n\nimport rego.v2\n\ndeny contains {\"code\": \"c\", \"msg\": \"m\", \"rule\": \"r\"} if {\n" + body + "\n}\n"
}

func TestFailuresAreErrors(t *testing.T) {
	tests := []struct {
		name, rego string
		want       string
	}{
		{"a built-in function that fails", deny(`to_number(input.principal.id) > 1`), "eval_builtin_error"},
		{"rules that disagree", deny(`x == 1`) + "\nx := 1 if input.v == 1\n\nx := 2 if input.principal.id\n", "eval_conflict_error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := own(t)
			_, err := must(t, nil, tt.rego).Decide(t.Context(), &in, time.Minute)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestARunawayRuleIsStopped(t *testing.T) {
	p := must(t, nil, deny(`some x in numbers.range(1, 100000)
some y in numbers.range(1, 100000)
x + y < 0`))
	in := own(t)
	if _, err := p.Decide(t.Context(), &in, 20*time.Millisecond); !errors.Is(err, program.ErrTimeout) {
		t.Errorf("out of time: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := p.Decide(ctx, &in, time.Hour); !errors.Is(err, program.ErrTimeout) {
		t.Errorf("the caller left: got %v", err)
	}
}

func TestReadsAreFound(t *testing.T) {
	tests := []struct {
		name, body string
		reads      string // a field that the rule reads
		cacheable  bool
	}{
		{"a field", `input.context.source_ip == "x"`, "context.source_ip", true},
		{"through a variable", `x := input.principal; x.issuer == "x"`, "principal.issuer", true},
		{"by a name that is not known", `some k in ["issuer"]; input.principal[k] == "x"`, "principal.issuer", true},
		{"in a function", `f(input.request) == "rest"`, "request.transport", false},
		{"the whole input", `count(input) == 8`, "args.values", false},
		{"the second", `input.context.time.unix_s % 2 == 1`, "context.time.unix_s", false},
		{"the time as a whole", `count(input.context.time) == 3`, "context.time.unix_s", false},
		{"the hour", `input.context.time.hour_utc == 3`, "context.time.hour_utc", true},
		{"a value", `input.args.values.ttl == "1h"`, "args.values.ttl", true},
		{"names of arguments", `"ttl" in input.args.keys`, "args.keys", true},
	}
	none := must(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := must(t, nil, deny(tt.body)+"\nf(r) := r.transport\n")
			if !p.Reads().Any(tt.reads) {
				t.Errorf("%s is not among %v", tt.reads, p.Reads().Paths())
			}
			if tt.reads != "context.time.unix_s" && none.Reads().Any(tt.reads) {
				t.Errorf("the default policy already reads %s", tt.reads)
			}
			if ok, why := p.Cacheable(); ok != tt.cacheable {
				t.Errorf("cacheable: %v, %s", ok, why)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	grants := func(ends ...float64) map[string]any {
		keys := map[string]any{}
		for i, e := range ends {
			keys[fmt.Sprint("k", i)] = map[string]any{"expires_s": e}
		}
		return map[string]any{"grants": map[string]any{"subjects": map[string]any{"a": map[string]any{"transit": keys}}}}
	}
	p := must(t, grants(200, 100, 200))
	for now, want := range map[int64][2]int64{
		0: {math.MinInt64, 100}, 99: {math.MinInt64, 100}, 100: {100, 200}, 199: {100, 200}, 200: {200, math.MaxInt64},
	} {
		if from, until := p.Window(now); from != want[0] || until != want[1] {
			t.Errorf("%d: got [%d, %d), want %v", now, from, until, want)
		}
	}
}

// What is not needed is not there: no clock, no network, no chance, no keys.
func TestCapabilities(t *testing.T) {
	var names []string
	for _, b := range program.Capabilities().Builtins {
		names = append(names, b.Name)
		if b.Nondeterministic || b.IsDeprecated() {
			t.Errorf("%s is allowed", b.Name)
		}
	}
	for _, n := range []string{
		"http.send", "opa.runtime", "net.lookup_ip_addr", "rand.intn", "uuid.rfc4122", "time.now_ns", "io.jwt.decode",
		"io.jwt.decode_verify", "crypto.x509.parse_and_verify_certificates", "trace", "walk", "rego.parse_module", "providers.aws.sign_req",
	} {
		if slices.Contains(names, n) {
			t.Errorf("%s is allowed", n)
		}
	}
	if len(names) != 131 {
		t.Errorf("%d functions are allowed: look at what a new version of the engine brought", len(names))
	}
}

// The fields that are left out of an input must not matter.
func TestWhatIsNotReadDoesNotMatter(t *testing.T) {
	p := must(t, nil, deny(`input.principal.kind == "human"`))
	probe := p.Probe(program.Variant{})
	for _, kind := range []string{"human", "agent"} {
		in := own(t)
		in.Principal.Kind = kind
		whole, err := probe(t.Context(), document.NewWriter(document.Everything()).Value(&in))
		if err != nil {
			t.Fatal(err)
		}
		short, err := p.Decide(t.Context(), &in, time.Minute)
		if err != nil || short.Allow != whole.Allow || short.Allow != (kind == "agent") {
			t.Errorf("%s: %v; %+v and %+v", kind, err, short, whole)
		}
	}
}

func TestFindingsOfTheCompiler(t *testing.T) {
	_, err := compile(t.Context(), nil, "package policy.deny.t\n\nimport rego.v2\n\ndeny contains 1 if {\n\tinput.principal.suspendd\n}\n")
	found, ok := errors.AsType[program.Findings](err)
	if !ok || len(found) != 1 || found[0].File != "dir/f0.rego" || found[0].Line != 6 || !strings.Contains(found[0].Msg, "suspendd") {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentDecisions(t *testing.T) {
	p := must(t, nil, deny(`"x" in input.args.values.list`))
	done := make(chan error)
	for range 8 {
		go func() {
			var err error
			for range 50 {
				in := own(t)
				in.Args.Values = map[string]any{"list": []any{"y"}}
				out, derr := p.Decide(context.Background(), &in, time.Minute)
				if derr != nil || !out.Allow {
					err = fmt.Errorf("%+v: %w", out, derr)
				}
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func ExampleProgram_Decide() {
	p, err := compile(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := document.ParseInput([]byte(`{"v":1,
		"principal":{"id":"a","prefix":"mcp/a","scopes":["read"]},
		"action":{"op":"kv.read","engine":"kv","effect":"read"},
		"resource":{"path":"mcp/a2/x"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := p.Decide(context.Background(), &in, time.Second)
	fmt.Println(out.Allow, out.Reasons[0].Code, err)
	// Output: false resource.denied <nil>
}

// manyRules are a team's rules of which some hold, some are undefined, some take
// arguments and some ask another rule under another input: more than are looked
// through one by one.
func manyRules() string {
	var b strings.Builder
	b.WriteString("package policy.deny.many\n\nimport rego.v2\n\n")
	for i := range 60 {
		fmt.Fprintf(&b, "r%d := %d if input.args.bytes > %d\n\n", i, i, i)
		fmt.Fprintf(&b, "f%d(x) := x + r%d\n\n", i, i)
		fmt.Fprintf(&b, "deny contains {\"code\": \"many.%d\", \"msg\": \"\", \"rule\": \"many.%d\"} if {\n\tf%d(1) == %d\n\tr%d\n\tinput.resource.version == %d\n}\n\n",
			i, i, i, i+1, (i+7)%60, i)
	}
	b.WriteString("aside if r30 with input as {\"args\": {\"bytes\": 31}}\n\n" +
		"deny contains {\"code\": \"many.aside\", \"msg\": \"\", \"rule\": \"many.aside\"} if {\n\taside\n\tnot r30\n\tinput.resource.version == 99\n}\n")
	return b.String()
}

// plain asks the evaluator by its own means.
func plain(t *testing.T, p *program.Program) program.Probe {
	t.Helper()
	q, err := rego.New(
		rego.Query("data.gateway.decision"), rego.Compiler(p.Compiler()), rego.Store(p.Store()), rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, in ast.Value) (document.Output, error) {
		rs, err := q.Eval(ctx, rego.EvalParsedInput(in))
		if err != nil || len(rs) != 1 {
			return document.Output{}, fmt.Errorf("%d results, %w", len(rs), err)
		}
		v, _ := rs[0].Expressions[0].Value.(ast.Value)
		return document.Decode(v)
	}
}

// A decision must be the one that the evaluator comes to with nothing of ours in it.
func TestDecideIsWhatTheEvaluatorSays(t *testing.T) {
	p := must(t, nil, manyRules())
	probe := plain(t, p)
	w, denied := document.NewWriter(document.Everything()), 0
	for bytes := range 70 {
		for _, version := range []int{0, 5, 30, 59, 99} {
			in := own(t)
			in.Args.Bytes, in.Resource.Version = bytes, version
			got, err := p.Decide(t.Context(), &in, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			in.Principal.Tier = p.TierOf(&in.Principal)
			want, err := probe(t.Context(), w.Value(&in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("bytes %d, version %d: got %+v, want %+v", bytes, version, got, want)
			}
			if !got.Allow {
				denied++
			}
		}
	}
	if denied < 30 || denied > 320 {
		t.Errorf("%d of 350 are denied: the test looks at one side", denied)
	}
}

// Each thing that the schema of the data refuses is found where it stands.
func TestDataThatTheSchemaRefuses(t *testing.T) {
	const text = `gateway: {allowed: true}
grants:
  subjects:
    agent_api:
      tier: ""
      kv:
        x: {ops: kv.read}
        /y: {}
        z: {expires_s: "1", deliver: plan, max_ttl_s: -1, ttl: 3}
tiers:
  gold: {requests: 99999999999999999999}
masks: context.source_ip
obligations:
  kv.read: {transforms: [{args: {}}], approval: {group: 3}}
`
	want := []string{
		"1: gateway is not known", "5: grants.subjects.agent_api.tier is empty", "7: grants.subjects.agent_api.kv.x.ops is a text and should be a list",
		`8: grants.subjects.agent_api.kv./y has a name that cannot be: "/y"`, "9: grants.subjects.agent_api.kv.z.expires_s is a text and should be a whole number",
		"9: grants.subjects.agent_api.kv.z.deliver is \"plan\"", "9: grants.subjects.agent_api.kv.z.max_ttl_s is -1, and at least 0 is needed",
		"9: grants.subjects.agent_api.kv.z.ttl is not known", "11: tiers.gold.requests is 99999999999999999999, and at most 1000000000 is taken",
		"11: tiers.gold lacks window_s", "12: masks is a text and should be a list", "14: obligations.kv.read.transforms[0] lacks name",
		"14: obligations.kv.read.approval.group is a whole number and should be a text",
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	team, err := bundle.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	_, err = program.Compile(t.Context(), core, team)
	found, _ := errors.AsType[program.Findings](err)
	var got []string
	for _, f := range found {
		if f.File != dir+"/data.yaml" || f.Check != "data" || f.Cure == "" {
			t.Errorf("got %v", f)
		}
		got = append(got, fmt.Sprintf("%d: %s", f.Line, f.Msg))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
