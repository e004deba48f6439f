package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// A list says what some call can do, and does not know what a call will say of itself.
func TestListsDoNotKnowWhatACallWillSay(t *testing.T) {
	for condition, says := range map[string]string{
		`input.context.client.name != "good"`:          `"context": {"client": {"name": "bad"}}`,
		`not startswith(input.request.reason, "INC-")`: `"request": {"reason": "x"}`,
		`input.request.deliver != "wrapped"`:           `"request": {"deliver": "plain"}`,
		`not input.action.destructive`:                 `"args": {}`,
		`input.request.transport != "mcp"`:             `"request": {"transport": "rest"}`,
		`input.args.bytes > 100000`:                    `"args": {"bytes": 100001}`,
	} {
		e := open(t, policy.Config{Dir: team(t, refuses("version: 2", condition, `{"action": {"engine": "kv", "destructive": false}, `+says+`}`))})
		if !e.Over(op.MCP).Callable(t.Context(), agent(t), catalogue(t).Get("kv.delete")) {
			t.Errorf("%s: kv.delete is not listed", condition)
		}
	}
}

// What a rule refuses over one transport is not listed there.
func TestListsKnowTheirTransport(t *testing.T) {
	files := refuses("version: 2", `input.request.transport == "mcp"; input.action.effect == "write"`, `{"request": {"transport": "mcp"}, "action": {"engine": "kv", "effect": "write"}}`)
	e := open(t, policy.Config{Dir: team(t, files)})
	write := catalogue(t).Get("kv.write")
	for transport, want := range map[op.Transport]bool{op.MCP: false, op.REST: true, op.Stdio: true, "": true} {
		if got := e.Over(transport).Callable(t.Context(), agent(t), write); got != want {
			t.Errorf("over %q: listed %v, want %v", transport, got, want)
		}
	}
}

// What a caller can call is found in its own grants: those of others, however many, are
// not looked through, or a list would run out of time.
func TestListsLookAtTheCallersGrantsAlone(t *testing.T) {
	data := strings.Builder{}
	data.WriteString("version: 2\ngrants:\n  subjects:\n    holder: {transit: {\"team-+\": {ops: [transit.sign]}}}\n")
	for i := range 20_000 {
		fmt.Fprintf(&data, "    agent-%d: {kv: {\"shared/%d/*\": {ops: [kv.read]}}}\n", i, i)
	}
	e := open(t, policy.Config{Dir: team(t, map[string]string{"data.yaml": data.String()})})
	for _, tc := range []struct {
		who, op string
		want    bool
	}{
		{"agent-3", "kv.read", true},
		{"nobody", "kv.list", true},
		{"agent-3", "transit.sign", false},
		{"holder", "transit.sign", true},
		{"holder", "transit.encrypt", false},
	} {
		if got := e.Callable(t.Context(), person(t, tc.who), catalogue(t).Get(tc.op)); got != tc.want {
			t.Errorf("%s of %s: callable is %v", tc.op, tc.who, got)
		}
	}
}

// An operation that acts on nothing with a name is what its rules say of no name at all:
// what data grant by name says nothing of it.
func TestListsAskOfNoNameWhereThereIsNone(t *testing.T) {
	files := refuses("grants: {subjects: {agent_api: {transit: {shared: {}, other: {}}}}}", "", "")
	files["t.rego"] = strings.Replace(files["t.rego"], `input.action.engine == "kv"`, "input.action.engine == \"transit\"\n\tinput.resource.path != \"shared\"", 1)
	files["t_test.rego"] = strings.Replace(files["t_test.rego"], "input_of :=", `input_of := {"action": {"engine": "transit"}, "resource": {"path": "x"}}`, 1)
	e := open(t, policy.Config{Dir: team(t, files)})
	for name, want := range map[string]bool{"transit.random": false, "transit.hash": false, "transit.encrypt": true} {
		got := e.Callable(t.Context(), agent(t), catalogue(t).Get(name))
		passes := e.Decide(t.Context(), bind(t, agent(t), name, map[string]string{
			"transit.random": `{}`, "transit.hash": `{"input":"aGk="}`, "transit.encrypt": `{"key":"shared","plaintext":"aGk="}`,
		}[name])).Allow
		if got != want || passes != want {
			t.Errorf("%s: listed %v, passes %v, want %v", name, got, passes, want)
		}
	}
}

// TestListsHoldAsLongAsTheirGrants: what a caller can call is not worked out again before a
// grant ends, or a rule can say something else.
func TestListsHoldAsLongAsTheirGrants(t *testing.T) {
	now := at()
	dir := team(t, map[string]string{"data.yaml": fmt.Sprintf("grants: {subjects: {agent_api: {transit: {k: {expires_s: %d}}}}}", now.Unix()+600)})
	e := open(t, policy.Config{Dir: dir, Now: func() time.Time { return now }})
	c, o, asOf := agent(t), catalogue(t).Get("transit.encrypt"), e.AsOf()
	if !e.Over(op.REST).Callable(t.Context(), c, o) {
		t.Fatal("what is granted is not listed")
	}
	allocations := testing.AllocsPerRun(100, func() { now = now.Add(time.Second); e.Over(op.REST).Callable(t.Context(), c, o) })
	if allocations > 50 {
		t.Errorf("%v allocations a second later", allocations)
	}
	if now = at().Add(599 * time.Second); !e.Over(op.REST).Callable(t.Context(), c, o) || !e.Callable(t.Context(), c, o) || e.AsOf() != asOf {
		t.Error("not listed before the grant ends")
	}
	if now = at().Add(600 * time.Second); e.Over(op.REST).Callable(t.Context(), c, o) || e.Callable(t.Context(), c, o) || e.AsOf() == asOf {
		t.Error("listed although the grant has ended")
	}
}

func TestListsFollowTheClockOfARule(t *testing.T) {
	now := time.Date(2026, 1, 2, 11, 59, 59, 0, time.UTC)
	dir := team(t, map[string]string{
		"x.rego": `package policy.deny.x

import rego.v2

# METADATA
# custom:
#   id: x.afternoon
deny contains {"code": "x.afternoon", "msg": "mornings only", "rule": "x.afternoon"} if {
	input.action.op == "kv.read"
	input.context.time.hour_utc >= 12
}
`,
		"x_test.rego": `package policy.deny.x_test

import rego.v2

test_afternoon if count(data.policy.deny.x.deny) == 1 with input as {"action": {"op": "kv.read"}, "context": {"time": {"hour_utc": 13}}}
`,
	})
	e := open(t, policy.Config{Dir: dir, Now: func() time.Time { return now }})
	c, o, asOf := agent(t), catalogue(t).Get("kv.read"), e.AsOf()
	if !e.Callable(t.Context(), c, o) {
		t.Error("not listed in the morning")
	}
	if now = now.Add(time.Second); e.Callable(t.Context(), c, o) || e.AsOf() == asOf {
		t.Error("listed in the afternoon")
	}
}
