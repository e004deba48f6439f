package lint_test

import (
	"strings"
	"testing"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// Each line of a test that is marked with # bad: sets a field that the input lacks.
const misspelt = `package policy.deny.t_test

import rego.v2

call := {
	"principal": {"id": "a", "kind": "agent", "on_behalf_of": {"id": "b"}},
	"action": {"op": "kv.write"},
	"args": {"values": {"whatever": {"you": "like"}}},
}

changed(patch) := object.union(call, patch)

decide(i) := n if n := count(data.policy.deny.t.deny) with input as i

at(path) := {"resource": {"pathh": path}} # bad: resource.pathh

cases := {
	"one": {"input": {"context": {"time": {"hour": 3}}}, "want": 1}, # bad: context.time.hour
	"two": {"input": {"context": {"time": {"hour_utc": 3}}}, "note": {"pathh": "is no input"}},
}

test_literal if count(data.policy.deny.t.deny) == 1 with input as {"acton": {"op": "kv.write"}} # bad: acton

test_nested if count(data.policy.deny.t.deny) == 1 with input as {"principal": {"id": "a", "auth": {"mehod": "jwt"}}} # bad: principal.auth.mehod

test_variable if {
	i := {"principal": {"kindd": "human"}} # bad: principal.kindd
	decide(i) == 1
}

test_patch if decide(changed({"request": {"fase": "call"}})) == 1 # bad: request.fase

test_function if decide(at("x")) == 0

test_target if count(data.policy.deny.t.deny) == 0 with input.principal.rolls as ["x"] # bad: principal.rolls

test_below if count(data.policy.deny.t.deny) == 0 with input.principal as {"scope": []} # bad: principal.scope

test_each[name] if {
	some name, tc in cases
	decide(tc.input) == 0
}

test_every if {
	every i in [{"v": 1}, {"version": 1}] { # bad: version
		decide(i) == 0
	}
}

test_spoilt_on_purpose if {
	decide({"action": null, "principal": "nobody", "resource": {"path": 7, "ancestors": {}}}) == 0
	decide(object.remove(call, ["action"])) == 0
	decide({}) == 0
	decide("text") == 0
	decide({k: v | some k, v in call; k != "v"}) == 0
	decide(json.unmarshal("{}")) == 0
	decide(changed({"args": {"values": {"any": 1}}, "principal": {"on_behalf_of": null}})) == 0
}

test_elsewhere if count(data.policy.deny.t.deny) == 0 with data.team.t as {"principl": {}} with input as call
`

func TestTestsThatSetNothing(t *testing.T) {
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{}
	for i, line := range strings.Split(misspelt, "\n") {
		if _, field, bad := strings.Cut(line, "# bad: "); bad {
			want[i+1] = field
		}
	}
	team := &bundle.Bundle{Place: "dir", Data: map[string]any{}, Tests: []bundle.File{{Name: "t_test.rego", Text: []byte(misspelt)}}}
	p, err := program.Compile(t.Context(), core, team)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lint.TestInputs(p, team) {
		if field := want[f.Line]; field == "" || !strings.Contains(f.Msg, "no field "+field+",") || f.File != "dir/t_test.rego" || f.Warning || !strings.HasPrefix(f.Cure, "it is one of ") {
			t.Errorf("got %v, want %q", f, field)
		}
		delete(want, f.Line)
	}
	for line, field := range want {
		t.Errorf("line %d: %s is not found", line, field)
	}
}
