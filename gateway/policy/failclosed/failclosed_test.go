package failclosed_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/ops"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/failclosed"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/regotest"
)

func core(t *testing.T) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// grants are data with a caller, a role and a tenant.
func grants() *bundle.Bundle {
	return &bundle.Bundle{Data: map[string]any{
		"grants": map[string]any{
			"subjects": map[string]any{"a": map[string]any{
				"transit": map[string]any{"k": map[string]any{}, "old": map[string]any{"expires_s": 1.6e9}},
				"kv":      map[string]any{"shared": map[string]any{"ops": []any{"kv.read"}}},
			}},
			"roles": map[string]any{"r": map[string]any{"db": map[string]any{"readonly": map[string]any{}}}},
		},
		"tenants": map[string]any{"t": map[string]any{"subjects": map[string]any{"b": map[string]any{}}}},
	}}
}

func suite(ctx context.Context, core, team *bundle.Bundle) (failclosed.Report, error) {
	return suiteBy(ctx, 1, core, team)
}

func suiteBy(ctx context.Context, workers int, core, team *bundle.Bundle) (failclosed.Report, error) {
	p, err := program.Compile(ctx, core, team)
	if err != nil {
		return failclosed.Report{}, err
	}
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		return failclosed.Report{}, err
	}
	return failclosed.Suite{Core: core, Program: p, Ops: cat.All(), Limit: 150, Build: true, Workers: workers}.Run(ctx)
}

func TestTheDefaultPolicyDoesNotFailOpen(t *testing.T) {
	r, err := suite(t.Context(), core(t), grants())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Error(f)
	}
	for _, check := range []string{"whole", "unknown", "no-data", "sibling", "variants", "team", "scopes", "fields"} {
		if r.Checks[check] == 0 {
			t.Errorf("%s was never tried", check)
		}
	}
}

// mutants are ways to break the embedded policy: the text and what it becomes.
func mutants() [][2]string {
	return [][2]string{
		{"	scoped\n	granted", "	granted"},
		{"	scoped\n	granted", "	scoped"},
		{"	not refused", "	true"},
		{"	id := input.principal.id\n	is_string(id)\n	id != \"\"\n	scoped", "	scoped"},
		{"scoped if input.action.public == true", "scoped if true"},
		{"scoped if required_scopes[0] in input.principal.scopes", "scoped if count(input.principal.scopes) > 0"},
		{"granted if {\n	input.action.engine == \"kv\"\n	input.principal.prefix in input.resource.ancestors\n}", "granted if input.action.engine == \"kv\""},
		{"granted if {\n	input.action.engine == \"kv\"\n	input.principal.prefix in input.resource.ancestors\n}", "granted if startswith(input.resource.path, input.principal.prefix)"},
		{"granted if input.action.engine in {\"self\", \"sys\"}", "granted if input.action.engine != \"kv\""},
		{"	input.resource.path == \"\"\n", "	true\n"},
		{"granted if some _ in grants", "granted if true"},
		{"long_enough if duties == set()", "long_enough if true"},
		{"long_enough if not too_short", "long_enough if too_short"},
		{"path_prefix := input.resource.path if {\n	input.action.engine in {", "path_prefix := input.resource.path if {\n	input.action.engine in {\"kv\", "},
		{"} else := input.principal.prefix if {\n	input.action.engine == \"kv\"\n	input.principal.prefix in input.resource.ancestors\n}", "} else := input.principal.prefix if {\n	input.action.engine == \"kv\"\n}"},
		{"} else := input.principal.prefix if {\n	input.action.engine == \"kv\"\n", "} else := input.principal.prefix if {\n"},
		{"data.tenants[input.principal.tenant].subjects", "data.tenants[\"\"].subjects"},
		{"subjects[input.principal.id][input", "subjects[_][input"},
		{"	covers(grant)\n", "	true\n"},
		{"	live(grant)\n", "	true\n"},
		{"grant.expires_s - input.context.time.unix_s > 0", "grant.expires_s - input.context.time.unix_s < 0"},
		{"grant.expires_s - input.context.time.unix_s > 0", "grant.expires_s > input.context.time.unix_s"},
		{"min(set)", "max(set)"},
		{"} else := \"wrapped\" if", "} else := \"masked\" if"},
		{"\"audience\": audience(d)", "\"audience\": \"agent\""},
		{"required_scopes := [\"delete\"] if", "required_scopes := [\"write\"] if"},
		{"required_scopes := [\"write\"] if {\n	input.action.effect == \"issue\"", "required_scopes := [\"read\"] if {\n	input.action.effect == \"issue\""},
		{"required_scopes := [\"list\"] if", "required_scopes := [\"read\"] if"},
		{"required_scopes := [] if input.action.public == true", "required_scopes := []"},
		{"granted if {\n	input.action.engine == \"kv\"\n	input.principal.prefix in input.resource.ancestors\n}", "granted if {\n	input.action.engine == \"kv\"\n	contains(input.resource.path, input.principal.prefix)\n}"},
		{"granted if {\n	input.action.engine == \"kv\"\n	input.principal.prefix in", "granted if {\n	input.principal.prefix in"},
		{"granted if input.action.engine in {\"self\", \"sys\"}", "granted if input.action.engine in {\"self\", \"sys\", \"ssh\"}"},
		{"\"db.leases\", \"ssh.public_key\", ", "\"db.leases\", \"ssh.public_key\", \"transit.encrypt\", "},
		{"data.tenants[input.principal.tenant].roles", "data.tenants[\"\"].roles"},
		{"subjects[input.principal.id][input.action.engine]", "subjects[input.principal.id].transit"},
		{"	some name in input.resource.ancestors\n	grant := table[name]\n", "	some name, grant in table\n"},
		{"usable(grant) if grant == {}", "usable(grant) if is_object(grant)"},
		{"covers(grant) if not grant.ops", "covers(grant) if grant"},
		{"covers(grant) if input.action.op in grant.ops", "covers(grant) if count(grant.ops) > 0"},
		{"live(grant) if not grant.expires_s", "live(grant) if grant"},
		{"unix_s > 0", "unix_s >= 0"},
		{"duties contains data.obligations[input.action.op]", "duties contains data.obligations[\"\"]"},
		{"	grant != {}\n", "	grant == {}\n"},
		{"	some duty in data.policy.obligations[team].obligation\n", "	some duty in data.policy.obligations[team].obligations\n"},
		{"some t in d.transforms}]", "some t in d.transforms; false}]"},
		{"n != 0}", "n > 0}"},
		{"n != 0}", "n == n}"},
		{"} else := \"masked\" if {", "} else := \"plain\" if {"},
		{"not strange in {\"plain\", \"masked\", \"wrapped\"}", "false"},
		{"	groups := {d.approval.group | some d in duties}\n	count(groups) > 0", "	groups := {d.approval.group | some d in duties}\n	count(groups) > 1"},
		{"	\"allow\": false,", "	\"allow\": true,"},
		{"	\"path_prefix\": \"\",", "	\"path_prefix\": input.principal.prefix,"},
		{"	some d in data.policy.deny[team].deny\n	counts(team, d)\n", "	some d in data.policy.deny[team].deny\n	d.audience == \"agent\"\n	counts(team, d)\n"},
		{"counts(_, _) if not data.computed.qualified", "counts(_, _) if data.computed.qualified"},
		{"	data.computed.qualified\n	enforced(team, said)\n", "	data.computed.qualified\n	not enforced(team, said)\n"},
		{"	input.request.ttl_s > 0\n	input.request.ttl_s <", "	input.request.ttl_s > 0\n	input.request.wrap_ttl_s <"},
		{"	input.request.wrap_ttl_s < d.min_wrap_ttl_s", "	input.request.wrap_ttl_s > d.min_wrap_ttl_s"},
		{"found[0] == name][0] if", "found[0] == name][count(grants) - 1] if"},
		{"grants contains [name, grant] if {\n	some role in input.principal.roles", "grants contains [name, grant] if {\n	some role in [\"r\"]"},
	}
}

// Whoever changes the embedded policy must be stopped by its tests or the suite.
func TestEveryMutantOfTheDefaultPolicyIsFound(t *testing.T) {
	for _, m := range mutants() {
		t.Run(m[1], func(t *testing.T) {
			broken := core(t)
			hits := 0
			broken.Rules = slices.Clone(broken.Rules)
			for i, f := range broken.Rules {
				if text := string(f.Text); strings.Contains(text, m[0]) {
					hits++
					broken.Rules[i].Text = []byte(strings.Replace(text, m[0], m[1], 1))
				}
			}
			if hits == 0 {
				t.Fatalf("the policy has no %q", m[0])
			}
			if !found(t, broken) {
				t.Error("neither the tests nor the suite find it")
			}
		})
	}
}

func found(t *testing.T, broken *bundle.Bundle) bool {
	t.Helper()
	p, err := program.Compile(t.Context(), broken, nil)
	if err != nil {
		return true // strict compilation stops it
	}
	tests, err := regotest.Run(t.Context(), p, regotest.Options{}, broken)
	if err != nil || tests.Failed() > 0 {
		return true
	}
	r, err := suite(t.Context(), broken, grants())
	if err != nil {
		t.Fatal(err)
	}
	return len(r.Findings) > 0
}

// TestManyWorkersFindWhatOneFinds: a report is the same whoever comes first.
func TestManyWorkersFindWhatOneFinds(t *testing.T) {
	broken := core(t)
	broken.Rules = slices.Clone(broken.Rules)
	for i, f := range broken.Rules {
		broken.Rules[i].Text = []byte(strings.Replace(string(f.Text), `in {"self", "sys"}`, `in {"self", "sys", "ssh"}`, 1))
	}
	one, err := suiteBy(t.Context(), 1, broken, grants())
	if err != nil {
		t.Fatal(err)
	}
	many, err := suiteBy(t.Context(), 4, broken, grants())
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Findings) == 0 || !reflect.DeepEqual(one, many) {
		t.Errorf("one worker: %+v\nfour: %+v", one, many)
	}
}

func ExampleSuite_Run() {
	core, err := bundle.Core()
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := suite(context.Background(), core, nil)
	fmt.Println(len(r.Findings), r.Inputs > 50, err)
	// Output: 0 true <nil>
}
