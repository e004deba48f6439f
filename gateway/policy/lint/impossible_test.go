package lint_test

import (
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

// shared is made once: to make its schemas costs more than most tests do.
var shared = sync.OnceValues(func() (*op.Catalogue, error) {
	return ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
})

func catalogue(t *testing.T) []*op.Op {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c.All()
}

// A condition that no call can meet is reported, with what is possible.
func TestConditionsThatNoCallMeets(t *testing.T) {
	data := map[string]any{"team": map[string]any{"t": map[string]any{"table": map[string]any{"a": true}, "kinds": map[string]any{"human": true, "robot": true}}}, "tiers": map[string]any{"gold": map[string]any{"requests": 1.0, "window_s": 1.0}}}
	for body, want := range map[string]string{
		`input.resource.path == "secret/data/mcp/a/x"`:                                                        "mcp/a/x",
		`"secret/data/mcp/a" in input.resource.ancestors`:                                                     "mcp/a",
		`"secret/metadata/mcp/a" in input.resource.ancestors`:                                                 "mcp/a",
		`startswith(input.resource.path, "secret/data/mcp/")`:                                                 "mcp",
		`startswith(input.resource.path, "/mcp/")`:                                                            "slash",
		`"mcp/a/" in input.resource.ancestors`:                                                                "mcp/a",
		`"/mcp/a" in input.resource.ancestors`:                                                                "mcp/a",
		`some a in input.resource.ancestors; a in {"mcp/a/"}`:                                                 "mcp/a",
		`input.resource.path == "mcp//a"`:                                                                     "mcp/a",
		`input.resource.path == "kv://secret/mcp/a"`:                                                          "below the mount",
		`input.resource.path == "mcp/../a"`:                                                                   "clean",
		`input.resource.segments[0] == "mcp/a"`:                                                               "one segment",
		`"mcp/a" in input.resource.segments`:                                                                  "one segment",
		`input.resource.relative == "/cards"`:                                                                 "cards",
		`input.resource.mount == "secret/"`:                                                                   "secret",
		`input.args.values.vesion > 5`:                                                                        "did you mean version",
		`"pahts" in input.args.keys`:                                                                          "did you mean path",
		`not "cass" in input.args.keys`:                                                                       "did you mean cas",
		`some k in input.args.keys; k == "pth"`:                                                               "did you mean path",
		`input.args.values.valid_principals == "root"`:                                                        "version",
		`input.principal.tier == "Gold"`:                                                                      "did you mean gold",
		`input.principal.tier in {"silver"}`:                                                                  "gold",
		`input.principal.kind == "Agent"`:                                                                     "did you mean agent",
		`input.principal.acting.kind != "robot"`:                                                              "service",
		`input.principal.on_behalf_of.kind == "user"`:                                                         "human",
		`some a in input.principal.actors; a.kind == "bot"`:                                                   "agent",
		`input.request.transport == "http"`:                                                                   "rest",
		`"grpc" == input.request.transport`:                                                                   "rest",
		`k := input.request.phase; k in ["call", "calls"]`:                                                    "call",
		`input.request.deliver == "mask"`:                                                                     "masked",
		`input.principal.auth.method == "oidc"`:                                                               "jwt",
		`input.context.time.local.weekday == "Monday"`:                                                        "did you mean monday",
		`startswith(input.action.op, "kvv.")`:                                                                 "kv.read",
		`input.context.time.hour_utc == 24`:                                                                   "23",
		`input.context.time.hour_utc > 23`:                                                                    "23",
		`input.context.time.minute_utc >= 60`:                                                                 "59",
		`input.context.time.unix_s < 1766188800000`:                                                           "seconds",
		`input.context.time.unix_s > 1766188800000`:                                                           "seconds",
		`input.args.bytes < 0`:                                                                                "0",
		`input.args.bytes > "100"`:                                                                            "number",
		`input.resource.version in {"1"}`:                                                                     "types of schema",
		`5 in input.principal.roles`:                                                                          "types of schema",
		`"x" in input.resource.path`:                                                                          "contains",
		`input.principal.tenant == null`:                                                                      "types of schema",
		`lower(input.principal.id) == "Admin"`:                                                                "lower",
		`input.context.session.calls > 5`:                                                                     "reserved",
		`data.grants.subjects[input.principal.id]`:                                                            `data.tenants[""]`,
		`data.team.t.tabel[input.principal.id]`:                                                               "team.t.tabel",
		`input.principal.auth.age_s > 3600`:                                                                   "null",
		`input.context.time.date >= "2026-9-1"`:                                                               "2026-09-01",
		`input.context.time.local.date == "24.12.2026"`:                                                       "2026-09-01",
		`input.context.source_ip == "::ffff:10.1.2.3"`:                                                        "10.1.2.3",
		`startswith(input.context.source_ip, "10.1")`:                                                         "10.1.0.0/16",
		`strings.any_prefix_match(input.context.source_ip, ["10.1.", "192.168"])`:                             "192.168",
		`input.context.time.local.hour < 8`:                                                                   "UTC",
		`input.context.source_ip != "10.0.0.0/8"`:                                                             "net.cidr_contains",
		`input.args.values.version == "3"`:                                                                    "compare it with a number",
		`data.team.t.kinds[input.principal.kind]`:                                                             "robot",
		`input.action.op == "kv.write"`:                                                                       "exclude each other",
		`input.action.effect == "write"`:                                                                      "exclude each other",
		`input.action.engine == "transit"`:                                                                    "exclude each other",
		`input.principal.kind == "agent"; input.principal.kind == "human"`:                                    "exclude each other",
		`input.principal.kind in {"agent", "service"}; input.principal.kind == "human"`:                       "exclude each other",
		`input.principal.kind == "agent"; not input.principal.kind == "agent"`:                                "exclude each other",
		`input.principal.kind == "agent"; input.principal.kind != "agent"`:                                    "exclude each other",
		`k := input.principal.kind; k == "agent"; input.principal.kind == "human"`:                            "exclude each other",
		`input.context.time.hour_utc > 20; input.context.time.hour_utc < 6`:                                   "two rules",
		`input.args.bytes == 3; input.args.bytes > 5`:                                                         "exclude each other",
		`"mcp/a" in input.resource.ancestors; "shared" in input.resource.ancestors`:                           "no path",
		`not night` + "\n}\n\nnight if {\ninput.context.time.hour_utc >= 22\ninput.context.time.hour_utc < 5": "two rules",
	} {
		t.Run(body, func(t *testing.T) {
			found, _, err := checkWith(t.Context(), catalogue(t), data, file("rego.v2", meta+head+"{\n"+reads+body+"\n}"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if (f.Check == "value" || f.Check == "impossible" || f.Check == "compile" || f.Check == "prefix-boundary") && f.Line > 7 && strings.Contains(f.Msg+" "+f.Cure, want) {
					return
				}
			}
			t.Errorf("got %+v, want %q", found, want)
		})
	}
}

// What a call can meet is let be.
func TestConditionsThatSomeCallMeets(t *testing.T) {
	data := map[string]any{"team": map[string]any{"t": map[string]any{"table": map[string]any{"a": true}}}}
	for _, body := range []string{
		`"mcp/a" in input.resource.ancestors; "mcp/a/cards" in input.resource.ancestors`,
		`input.resource.path == "mcp/a/x"`,
		`input.resource.path == ""`,
		`input.resource.relative == "cards/1"`,
		`input.resource.relative == null`,
		`startswith(input.resource.path, "mcp/a/")`,
		`input.resource.segments[1] == "a"`,
		`some s in input.resource.segments; s in {"prod", "live"}`,
		`input.args.values.path == "kv://secret/mcp/a"`,
		`input.args.values.version > 3`,
		`"version" in input.args.keys`,
		`input.principal.tier == "standard"`,
		`input.principal.on_behalf_of == null`,
		`input.request.transport in {"rest", "mcp"}; input.request.transport != "mcp"`,
		`input.request.deliver == ""`,
		`input.context.time.hour_utc >= 8; input.context.time.hour_utc < 18`,
		`input.context.time.unix_s < 1766188800`,
		`input.args.bytes > 0; input.args.bytes <= 10`,
		`input.principal.roles == []`,
		`"ops/prod" in input.principal.roles; "x" in input.principal.roles`,
		`some r in input.principal.roles; r == "a"; some s in input.principal.roles; s == "b"`,
		`input.principal.claims.amr == ["mfa"]`,
		`input.principal.auth.method == "jwt"; input.principal.auth.age_s > 3600`,
		`input.principal.auth.age_s != null; input.principal.auth.age_s > 3600`,
		`input.action.public; input.args.bytes > 3`,
		`input.context.time.date >= "2026-09-01"`,
		`input.context.source_ip == "10.1.2.3"`,
		`startswith(input.context.source_ip, "10.1.")`,
		`not input.principal.claims.mfa`,
		`not input.action.destructive`,
		`lower(input.principal.id) == "admin"`,
		`data.team.t.table[input.principal.id]`,
		`data.tenants[""].subjects[input.principal.id]`,
		`input.args.values.version; input.args.values.version == 5`,
		`input.action.effect == "read"; input.action.engine == "kv"`,
	} {
		t.Run(body, func(t *testing.T) {
			found, _, err := checkWith(t.Context(), catalogue(t), data, file("rego.v2", meta+head+"{\n"+reads+body+"\n}"))
			if err != nil || len(found) > 0 {
				t.Errorf("%v, %+v", err, found)
			}
		})
	}
}
