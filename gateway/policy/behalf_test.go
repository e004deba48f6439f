package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

const behalfData = `
version: 2
grants:
  subjects:
    bot:
      kv: {"shared/both": {}, "shared/bots": {}}
      transit: {"+": {}}
      db: {readonly: {max_ttl_s: 600, deliver: masked}}
    alice:
      kv: {"shared/both": {max_ttl_s: 60}, "shared/people": {}}
      transit: {mcp: {}}
      db: {readonly: {max_ttl_s: 60, deliver: wrapped, transforms: [{name: redact}]}}
`

// beside is the agent bot, with a second credential of a person.
func beside(t *testing.T, scopes ...string) *call.Caller {
	t.Helper()
	bot, alice := person(t, "bot"), person(t, "alice")
	alice.Kind, alice.Method, alice.Scopes = "human", call.JWT, scopes
	bot.Behalf = alice
	return bot
}

func person(t *testing.T, subject string) *call.Caller {
	t.Helper()
	return &call.Caller{Subject: subject, Kind: "agent", Prefix: path(t, "mcp/"+subject), Method: call.APIKey, Scopes: []string{"read", "list", "write", "delete"}}
}

// A call on somebody's behalf is allowed when it is allowed to both, with the obligations
// of both.
func TestWhatBothMay(t *testing.T) {
	e := opened(t, behalfData, "")
	all := []string{"read", "list", "write", "delete"}
	alone, both := person(t, "bot"), beside(t, all...)
	for name, tc := range map[string]struct {
		op, path string
		c        *call.Caller
		allow    bool
	}{
		"its own, alone":             {"kv.read", "mcp/bot/x", alone, true},
		"its own":                    {"kv.read", "mcp/bot/x", both, false},
		"the person's own":           {"kv.read", "mcp/alice/x", both, false},
		"granted to both":            {"kv.read", "shared/both/x", both, true},
		"granted to both, written":   {"kv.write", "shared/both/x", both, true},
		"granted to the bot":         {"kv.read", "shared/bots/x", both, false},
		"granted to the bot, alone":  {"kv.read", "shared/bots/x", alone, true},
		"granted to the person":      {"kv.read", "shared/people/x", both, false},
		"a key of both":              {"transit.encrypt", "mcp", both, true},
		"a key of the bot":           {"transit.encrypt", "other", both, false},
		"scopes that the person has": {"kv.read", "shared/both/x", beside(t, "read"), true},
		"a scope that it lacks":      {"kv.write", "shared/both/x", beside(t, "read"), false},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time from the cache
				d := e.Decide(t.Context(), asked(t, tc.op, tc.c, tc.path))
				if d.Allow != tc.allow || !tc.allow && d.Code != call.Forbidden {
					t.Errorf("got %v %s %+v", d.Allow, d.Code, d.Reasons)
				}
			}
		})
	}
	d := e.Decide(t.Context(), asked(t, "db.issue_creds", both, "readonly"))
	if o := d.Obligations; !d.Allow || o.Deliver != call.Wrapped || !o.Masked || o.MaxTTL.Seconds() != 60 || len(o.Transforms) != 1 {
		t.Errorf("obligations: got %+v", o)
	}
	if d := e.Decide(t.Context(), asked(t, "db.issue_creds", alone, "readonly")); d.Obligations.Deliver != call.Masked || d.Obligations.MaxTTL.Seconds() != 600 {
		t.Errorf("alone: got %+v", d.Obligations)
	}
}

// What is listed for both is what both can call.
func TestListsForBoth(t *testing.T) {
	e := opened(t, behalfData, "")
	both := beside(t, "read", "write")
	encrypt := catalogue(t).Get("transit.encrypt")
	if names, ok := e.Names(t.Context(), both, encrypt); !ok || !slices.Equal(names, []string{"mcp"}) {
		t.Errorf("keys: got %v %v", names, ok)
	}
	if !e.Callable(t.Context(), both, catalogue(t).Get("kv.read")) {
		t.Error("kv.read cannot be called")
	}
	if e.Callable(t.Context(), both, catalogue(t).Get("kv.list")) {
		t.Error("kv.list can be called without the scope of the person")
	}
}

// A rule can want to know on whose behalf a call is made, and the denial says so; what
// the person's token says is in the input, and in the record.
func TestARuleWantsAPerson(t *testing.T) {
	e := opened(t, behalfData, `
# METADATA
# custom:
#   id: team.on_behalf_of_required
deny contains {"code": "team.on_behalf_of_required", "msg": "say for whom", "rule": "team.on_behalf_of_required"} if {
	input.principal.on_behalf_of == null
}

# METADATA
# custom:
#   id: team.dept
deny contains {"code": "team.dept", "msg": "wrong department", "rule": "team.dept"} if {
	input.principal.on_behalf_of != null
	not sales
}

sales if input.principal.on_behalf_of.claims.dept == "sales"
`)
	d := e.Decide(t.Context(), asked(t, "kv.read", person(t, "bot"), "shared/both/x"))
	if d.Code != call.OnBehalfOfRequired || !strings.Contains(call.AsError(d.Err()).Msg, "X-On-Behalf-Of") {
		t.Errorf("nobody: got %s %v", d.Code, d.Err())
	}
	for dept, allow := range map[string]bool{"sales": true, "other": false} {
		c := beside(t, "read")
		c.Behalf.Claims = map[string]any{"dept": dept}
		d := e.Decide(t.Context(), asked(t, "kv.read", c, "shared/both/x"))
		if d.Allow != allow {
			t.Errorf("%s: got %+v", dept, d)
		}
		rec, _, err := e.Trace(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := rec.Input["principal"].(map[string]any)
		if who, _ := p["on_behalf_of"].(map[string]any); who["id"] != "alice" || who["kind"] != "human" {
			t.Errorf("recorded: got %v", who)
		}
	}
}

// asked binds a call of an operation on what has a full path or a name.
func asked(t *testing.T, name string, c *call.Caller, on string) *op.Bound {
	t.Helper()
	args := map[string]string{"kv": `{"path":%q}`, "transit": `{"key":%q,"plaintext":"aGk="}`, "db": `{"role":%q}`}
	engine, verb, _ := strings.Cut(name, ".")
	text := fmt.Sprintf(args[engine], on)
	if engine == "kv" && verb == "write" {
		text = fmt.Sprintf(`{"path":%q,"data":{"a":"b"}}`, on)
	}
	return full(t, c, name, text)
}

func opened(t *testing.T, data, rules string) *policy.Engine {
	t.Helper()
	files := map[string]string{"data.yaml": data}
	if rules != "" {
		files["team.rego"] = "package policy.deny.team\n\nimport rego.v2\n" + rules
		files["team_test.rego"] = `package policy.deny.team_test

import rego.v2

test_nobody if {
	count(data.policy.deny.team.deny) == 1 with input as {"principal": {"on_behalf_of": null}}
}

test_sales if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"on_behalf_of": {"claims": {"dept": "sales"}}}}
	count(data.policy.deny.team.deny) == 1 with input as {"principal": {"on_behalf_of": {"claims": {"dept": "other"}}}}
}
`
	}
	return open(t, policy.Config{Dir: team(t, files)})
}
