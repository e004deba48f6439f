package lint_test

import (
	"strings"
	"testing"
)

// A rule of a team with a part of its own that is about nothing of it is reported: nobody
// hears it. One that some call of the part can meet is let be.
func TestRulesThatNobodyHears(t *testing.T) {
	owns := map[string]any{"kv": []any{"mcp/a/cards"}, "transit": []any{"cards"}}
	for body, unheard := range map[string]bool{
		`input.action.engine == "db"`:                                                      true,
		`input.action.op == "ssh.otp"`:                                                     true,
		`input.action.engine == "kv"; "mcp/a/other" in input.resource.ancestors`:           true,
		`input.action.engine == "kv"; input.resource.path == "mcp/a"`:                      true,
		`input.action.engine == "transit"; input.resource.path == "mcp/a/cards"`:           true,
		`input.action.engine == "kv"; "mcp/a/cards/1" in input.resource.ancestors`:         false,
		`input.action.engine == "kv"; "mcp" in input.resource.ancestors`:                   false,
		`input.action.engine == "kv"; input.resource.path == "mcp/a/cards/1"`:              false,
		`input.action.engine == "transit"; input.resource.path == "cards"`:                 false,
		`input.principal.kind == "agent"`:                                                  false,
		`input.action.engine == "kv"; startswith(input.resource.path, "mcp/a/elsewhere/")`: false,
	} {
		for global, want := range map[bool]bool{false: unheard, true: false} {
			data := map[string]any{"teams": map[string]any{"t": map[string]any{"owns": owns, "global": global}}}
			found, _, err := checkWith(t.Context(), catalogue(t), data, file("rego.v2", meta+head+"{\n"+body+"\n}"))
			if err != nil {
				t.Fatal(err)
			}
			told := false
			for _, f := range found {
				told = told || f.Check == "impossible" && strings.Contains(f.Msg, "does not own")
			}
			if told != want {
				t.Errorf("%s, global %v: told %v in %+v", body, global, told, found)
			}
		}
	}
}

// A comparison that reads as an exemption, and is skipped where what it compares is
// missing, is reported.
func TestComparisonsThatAreSkipped(t *testing.T) {
	for body, want := range map[string]string{
		`input.principal.claims.team != "pay"`: "`not input.principal.claims.team == …`",
		`input.principal.claims.level < 2`:     "`not input.principal.claims.level >= …`",
		`2 > input.principal.claims.level`:     "`not input.principal.claims.level >= …`",
		`input.resource.segments[3] != "x"`:    "segments[3]",
		"level < 3\n}\n\nlevel := 3 if input.principal.kind == \"human\"\n\nelse := 2 if {\n\"ci\" in input.principal.roles": "level is missing",
		`some r in input.principal.roles; r != "admin"`:                                                                      `not "admin" in input.principal.roles`,
		`input.principal.claims.team; input.principal.claims.team != "pay"`:                                                  "",
		`not input.principal.claims.team == "pay"`:                                                                           "",
		`input.principal.claims.team == "pay"`:                                                                               "",
		`input.principal.on_behalf_of.id != "ann"`:                                                                           "",
		`some r in input.principal.roles; r != "admin"; r != "ops"`:                                                          "",
		`input.args.values.version > 3`:                                                                                      "",
		"input.principal.claims.team != \"pay\"\n}\n\n" + `none if not input.principal.claims.team` + "\n\n" + meta + strings.Replace(head, "x.r", "x.s", 1) + "{\nnone": "",
	} {
		found, _, err := checkWith(t.Context(), catalogue(t), nil, file("rego.v2", meta+head+"{\n"+body+"\n}"))
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		for _, f := range found {
			if f.Check == "skipped" {
				told += f.Msg + " " + f.Cure
			}
		}
		if (told != "") != (want != "") || !strings.Contains(told, want) {
			t.Errorf("%s: told %q, want %q; %+v", body, told, want, found)
		}
	}
}

// A denial in a package of helpers denies nothing, and is reported unless a rule uses it.
func TestDenialsAmongHelpers(t *testing.T) {
	lib := "package policy.lib.y\n\nimport rego.v2\n\ndeny contains {\"code\": \"c\", \"msg\": \"m\", \"rule\": \"r\"} if input.principal.kind == \"agent\"\n"
	user := file("rego.v2", "import data.policy.lib.y\n\n"+meta+head+"{\nsome _ in y.deny\n}")
	for name, texts := range map[string][]string{"unused": {lib}, "used": {lib, user}} {
		found, _, err := checkWith(t.Context(), catalogue(t), nil, texts...)
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, f := range found {
			told = told || f.Check == "shape" && strings.Contains(f.Msg, "nothing enforces deny")
		}
		if told != (name == "unused") {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
