package policycmd_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/policy/policycmd"
)

// asking is a call of agent_api, some of whose fields are given.
func asking(op, path, principal, rest string) string {
	return fmt.Sprintf(`{"v":1,"principal":{"id":"agent_api","kind":"agent","prefix":"mcp/agent_api","scopes":["read","write"]%s},
		"action":{"op":%q},"resource":{"path":%q%s`, principal, op, path, rest)
}

// Every field that a rule reads is tried, and what would allow the call is named.
func TestExplainTriesEveryFieldThatRulesRead(t *testing.T) {
	const own = "mcp/agent_api/x"
	for name, tt := range map[string]struct{ body, question, want string }{
		"version":         {`input.resource.version != 0`, asking("kv.read", own, "", `,"version":3}}`), `input.resource.version = 0`},
		"address":         {`not net.cidr_contains("10.0.0.0/8", input.context.source_ip)`, asking("kv.read", own, "", `},"context":{"source_ip":"192.0.2.1"}}`), `input.context.source_ip = "10.0.0.0"`},
		"one of networks": {`not input.context.source_ip in {"10.1.1.1", "10.1.1.2"}`, asking("kv.read", own, "", `},"context":{"source_ip":"192.0.2.1"}}`), `input.context.source_ip = "10.1.1.1"`},
		"any other one":   {`input.context.source_ip == "10.1.1.1"`, asking("kv.read", own, "", `},"context":{"source_ip":"10.1.1.1"}}`), `another input.context.source_ip, as "192.0.2.1"`},
		"another network": {`net.cidr_contains("10.0.0.0/8", input.context.source_ip)`, asking("kv.read", own, "", `},"context":{"source_ip":"10.1.1.1"}}`), `another input.context.source_ip, as "192.0.2.1"`},
		"method":          {`input.principal.auth.method == "api_key"`, asking("kv.read", own, `,"auth":{"method":"api_key"}`, `}}`), `input.principal.auth.method = "mtls"`},
		"age":             {`input.principal.auth.age_s > 3600`, asking("kv.read", own, `,"auth":{"age_s":7200}`, `}}`), `input.principal.auth.age_s = 3600`},
		"certificate":     {`input.principal.auth.cert_fp != "ab12"`, asking("kv.read", own, `,"auth":{"cert_fp":"ff"}`, `}}`), `input.principal.auth.cert_fp = "ab12"`},
		"an actor":        {`input.principal.on_behalf_of == null`, asking("kv.read", own, "", `}}`), `input.principal.on_behalf_of.id = "other"`},
		"another actor":   {`input.principal.on_behalf_of.id == "bot"`, asking("kv.read", own, `,"on_behalf_of":{"id":"bot","kind":"agent"}`, `}}`), `input.principal.on_behalf_of = null`},
		"no actor":        {`input.principal.on_behalf_of != null`, asking("kv.read", own, `,"on_behalf_of":{"id":"bot","kind":"agent"}`, `}}`), `input.principal.on_behalf_of = null`},
		"issuer":          {`input.principal.issuer != "https://idp.example"`, asking("kv.read", own, "", `}}`), `input.principal.issuer = "https://idp.example"`},
		"transport":       {`input.request.transport != "stdio"`, asking("kv.read", own, "", `},"request":{"transport":"rest"}}`), `input.request.transport = "stdio"`},
		"an argument":     {`input.args.values.mode == "all"`, asking("kv.read", own, "", `},"args":{"keys":["mode"],"values":{"mode":"all"}}}`), `another input.args.values.mode`},
		"no argument":     {`input.args.values.force`, asking("kv.read", own, "", `},"args":{"keys":["force"],"values":{"force":true}}}`), `without the argument force`},
		"a missing one":   {`not "cas" in input.args.keys`, asking("kv.write", own, "", `},"args":{"keys":["data"]}}`), `"cas" in input.args.keys`},
		"a number":        {`input.args.values.versions > 3`, asking("kv.read", own, "", `},"args":{"keys":["versions"],"values":{"versions":9}}}`), `input.args.values.versions = 3`},
		"size":            {`input.args.bytes > 100`, asking("kv.write", own, "", `},"args":{"bytes":900}}`), `input.args.bytes = 100`},
		"a role too many": {`"contractor" in input.principal.roles`, asking("kv.read", own, `,"roles":["contractor"]`, `}}`), `"contractor" not in input.principal.roles`},
		"a second":        {`input.context.time.unix_s >= 1700000000`, asking("kv.read", own, "", `},"context":{"time":{"unix_s":1700000005}}}`), `input.context.time.unix_s = 1699999999`},
		"path":            {`not startswith(input.resource.path, "mcp/agent_api/public/")`, asking("kv.read", own, "", `}}`), `the resource "mcp/agent_api/public/x"`},
		"operation":       {`input.action.op == "kv.destroy"`, asking("kv.destroy", own, "", `}}`), `the operation kv.read`},
		"two things": {
			`bad`, asking("kv.read", own, `,"auth":{"method":"api_key","age_s":7200}`, `}}`),
			`input.principal.auth.method = "mtls"`,
		},
		"a table": {`not data.team.x.exempt[input.principal.issuer]`, asking("kv.read", own, "", `}}`), `input.principal.issuer = "https://free.example"`},
	} {
		t.Run(name, func(t *testing.T) {
			body := tt.body
			if body == "bad" {
				body = "some n in {1 | input.principal.auth.method == \"api_key\"} | {2 | input.principal.auth.age_s > 3600}\n\tn > 0"
			}
			dir := ruled(t, body, `{"principal": {"auth": {"method": "api_key"}}}`, `team: {x: {exempt: {"https://free.example": true}}}`+"\n")
			p, out := on(t, dir)
			if err := p.Explain(t.Context(), []byte(tt.question), false); err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(out.String()) {
				if strings.Count(out.String(), l) > 1 {
					t.Errorf("said twice: %s", l)
				}
			}
			if !strings.Contains(out.String(), "denied:") || !strings.Contains(out.String(), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, out)
			}
		})
	}
}

// When nothing that was tried helps, the answer says what was tried and what was not.
func TestExplainSaysWhatItDidNotTry(t *testing.T) {
	dir := ruled(t, `regex.match("^[a-m]+$", input.principal.issuer) == (input.principal.tenant == "t")`, `{"principal": {"issuer": "x", "tenant": "y"}}`, "")
	p, out := on(t, dir)
	if err := p.Explain(t.Context(), []byte(asking("transit.encrypt", "none", "", `}}`)), false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "no change of one or two things would") {
		t.Errorf("it says that nothing would:\n%s", out)
	}
	always := ruled(t, `input.principal.id`, `{"principal": {"id": "x"}}`, "")
	p, out = on(t, always)
	if err := p.Explain(t.Context(), []byte(asking("kv.read", "mcp/agent_api/x", "", `}}`)), false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"that was tried would allow it", "  tried: ", "principal.id", "not tried: more than two changes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// Duties that no call can meet together deny in the gateway, and so do they here.
func TestDutiesThatContradictEachOtherDeny(t *testing.T) {
	dir := dirOf(t, map[string]string{"data.yaml": "grants: {subjects: {agent_api: {db: {r: {min_ttl_s: 600}}}}}\nobligations: {db.issue_creds: {max_ttl_s: 60}}\n"})
	question := []byte(asking("db.issue_creds", "r", "", `}}`))
	for name, do := range map[string]func(policycmd.Policy) error{
		"eval":    func(p policycmd.Policy) error { return p.Eval(t.Context(), question) },
		"explain": func(p policycmd.Policy) error { return p.Explain(t.Context(), question, false) },
	} {
		p, out := on(t, dir)
		if err := do(p); err != nil || !strings.Contains(out.String(), "policy.bad_decision") || !strings.Contains(out.String(), "min_ttl_s") || strings.Contains(out.String(), "allowed: ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
