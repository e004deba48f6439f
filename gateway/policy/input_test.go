package policy_test

import (
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// refuses is a team whose rule refuses reads and writes of secrets under a condition, and its test.
func refuses(version, condition, test string) map[string]string {
	return map[string]string{
		"data.yaml": version,
		"t.rego": `package policy.deny.t

import rego.v2

# METADATA
# custom:
#   id: t.r
deny contains {"code": "t.r", "msg": "no", "rule": "t.r"} if {
	input.action.engine == "kv"
	` + condition + "\n}\n",
		"t_test.rego": "package policy.deny.t_test\n\nimport rego.v2\n\ntest_t if {\n\tinput_of := " + test + `
	count(data.policy.deny.t.deny) == 1 with input as input_of
}
`,
	}
}

// What a call says of itself is found in the input, whichever transport it came by.
func TestWhatPoliciesSee(t *testing.T) {
	delegated := agent(t)
	delegated.Kind, delegated.OnBehalfOf = "human", &call.Actor{Subject: "bot", Kind: "agent"}
	person := agent(t)
	person.Kind = "human"
	claims := agent(t)
	claims.Claims = map[string]any{"amr": []any{"pwd", "mfa"}}
	dated := agent(t)
	dated.Created = at().Add(-48 * time.Hour)
	whole := func(r *op.Request) { r.Absolute = true }
	tests := []struct {
		name, version, condition, test string
		caller                         *call.Caller
		change                         func(*op.Request)
		op, args                       string
		refused                        bool
	}{
		{"an agent for a person is no person", "{}", `input.principal.kind == "human"`, `{"action": {"engine": "kv"}, "principal": {"kind": "human"}}`, delegated, nil, "kv.read", `{"path":"a"}`, false},
		{"a person is one", "{}", `input.principal.kind == "human"`, `{"action": {"engine": "kv"}, "principal": {"kind": "human"}}`, person, nil, "kv.read", `{"path":"a"}`, true},
		{"version 1 knows who acts", "{}", `input.principal.on_behalf_of.id == "bot"`, `{"action": {"engine": "kv"}, "principal": {"on_behalf_of": {"id": "bot"}}}`, delegated, nil, "kv.read", `{"path":"a"}`, true},
		{"version 2 knows for whom", "version: 2", `input.principal.on_behalf_of.id == "agent_api"; input.principal.acting.id == "bot"; input.principal.actors[0].kind == "agent"`, `{"action": {"engine": "kv"}, "principal": {"on_behalf_of": {"id": "agent_api"}, "acting": {"id": "bot"}, "actors": [{"kind": "agent"}]}}`, delegated, nil, "kv.read", `{"path":"a"}`, true},
		{"a claim", "version: 2", `"mfa" in input.principal.claims.amr`, `{"action": {"engine": "kv"}, "principal": {"claims": {"amr": ["mfa"]}}}`, claims, nil, "kv.read", `{"path":"a"}`, true},
		{"an unknown age", "version: 2", `input.principal.auth.age_s == null`, `{"action": {"engine": "kv"}, "principal": {"auth": {"age_s": null}}}`, person, nil, "kv.read", `{"path":"a"}`, true},
		{"the age of a key", "version: 2", `input.principal.auth.age_s > 86400`, `{"action": {"engine": "kv"}, "principal": {"auth": {"age_s": 90000}}}`, dated, nil, "kv.read", `{"path":"a"}`, true},
		{"the path of an argument", "version: 2", `input.args.values.path == "cards/1"`, `{"action": {"engine": "kv"}, "args": {"values": {"path": "cards/1"}}}`, person, nil, "kv.read", `{"path":"cards/1"}`, true},
		{"the same path named whole", "version: 2", `input.args.values.path == "cards/1"`, `{"action": {"engine": "kv"}, "args": {"values": {"path": "cards/1"}}}`, person, whole, "kv.read", `{"path":"mcp/agent_api/cards/1"}`, true},
		{"the relative path", "version: 2", `input.resource.relative == "cards/1"; input.resource.segments[2] == "cards"; input.resource.relative_segments[0] == "cards"`, `{"action": {"engine": "kv"}, "resource": {"relative": "cards/1", "segments": ["a", "b", "cards"], "relative_segments": ["cards"]}}`, person, whole, "kv.read", `{"path":"mcp/agent_api/cards/1"}`, true},
		{"written fields", "version: 2", `input.args.fields.note > 4`, `{"action": {"engine": "kv"}, "args": {"fields": {"note": 5}}}`, person, nil, "kv.write", `{"path":"a","data":{"note":"hello"}}`, true},
		{"a smaller field", "version: 2", `input.args.fields.note > 4`, `{"action": {"engine": "kv"}, "args": {"fields": {"note": 5}}}`, person, nil, "kv.write", `{"path":"a","data":{"note":"hell"}}`, false},
		{"a reason", "version: 2", `not startswith(input.request.reason, "INC-")`, `{"action": {"engine": "kv"}, "request": {"reason": ""}}`, person, func(r *op.Request) { r.Reason = "INC-1" }, "kv.read", `{"path":"a"}`, false},
		{"no reason", "version: 2", `not startswith(input.request.reason, "INC-")`, `{"action": {"engine": "kv"}, "request": {"reason": ""}}`, person, nil, "kv.read", `{"path":"a"}`, true},
		{"the client", "version: 2", `input.context.client.name == "curl"`, `{"action": {"engine": "kv"}, "context": {"client": {"name": "curl"}}}`, person, func(r *op.Request) { r.Client.Name = "curl" }, "kv.read", `{"path":"a"}`, true},
		{"the wanted delivery", "version: 2", `input.request.deliver == "wrapped"; input.request.wrap_ttl_s > 60`, `{"action": {"engine": "kv"}, "request": {"deliver": "wrapped", "wrap_ttl_s": 61}}`, person, func(r *op.Request) { r.Deliver, r.WrapTTL = call.Wrapped, 2*time.Minute }, "kv.read", `{"path":"a"}`, true},
		{"a local hour", "version: 2\nzone: Asia/Kathmandu", `input.context.time.local.minute == 45; input.context.time.local.zone == "Asia/Kathmandu"; input.context.time.minute_utc == 0`, `{"action": {"engine": "kv"}, "context": {"time": {"minute_utc": 0, "local": {"minute": 45, "zone": "Asia/Kathmandu"}}}}`, person, func(r *op.Request) { r.Time = time.Unix(1_699_999_200, 0) }, "kv.read", `{"path":"a"}`, true},
		{"a date", "version: 2", `input.context.time.date == "2023-11-14"`, `{"action": {"engine": "kv"}, "context": {"time": {"date": "2023-11-14"}}}`, person, func(r *op.Request) { r.Time = time.Unix(1_700_000_000, 0) }, "kv.read", `{"path":"a"}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, policy.Config{Dir: team(t, refuses(tt.version, strings.ReplaceAll(tt.condition, "; ", "\n\t"), tt.test))})
			var err error
			for range 2 { // evaluated, then from the cache
				b := bind(t, tt.caller, tt.op, tt.args)
				if tt.change != nil {
					tt.change(b.Request)
					if b, err = catalogue(t).Bind(b.Request); err != nil {
						t.Fatal(err)
					}
				}
				if d := e.Decide(t.Context(), b); d.Allow == tt.refused {
					t.Errorf("allowed %v (cached %v), %v", d.Allow, d.Cached, d.Reasons)
				}
			}
		})
	}
}
