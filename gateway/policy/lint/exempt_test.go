package lint_test

import (
	"strings"
	"testing"
)

// What makes a rule silent is warned of, what makes it speak is not.
func TestTextsAnywhereInAPath(t *testing.T) {
	const rule = "# METADATA\n# custom:\n#   id: t.r\ndeny contains {\"code\": \"c\", \"msg\": \"m\", \"rule\": \"t.r\"} if {\n\tinput.action.op == \"kv.read\"\n\t%s\n}\n"
	for body, want := range map[string]bool{
		`contains(input.resource.path, "cards")`:                                        false,
		`not contains(input.resource.path, "public")`:                                   true,
		`not contains(input.resource.path, "/public/")`:                                 false,
		`contains(input.resource.path, "public") == false`:                              true,
		`contains(input.resource.path, "public") != true`:                               true,
		`indexof(input.resource.path, "public") == -1`:                                  true,
		`indexof(input.resource.path, "public") < 0`:                                    true,
		`indexof(input.resource.path, "public") >= 0`:                                   false,
		`not indexof(input.resource.path, "public") >= 0`:                               true,
		`not endswith(input.resource.path, "public")`:                                   true,
		`not endswith(input.resource.path, ".pub")`:                                     false,
		`not endswith(input.resource.path, "/public")`:                                  false,
		`not regex.match("public", input.resource.path)`:                                true,
		`not regex.match("^mcp/[^/]+/public/", input.resource.path)`:                    false,
		`regex.match("public", input.resource.path)`:                                    false,
		"not public\n}\n\npublic if {\n\tcontains(input.resource.path, \"public\")":     true,
		"public\n}\n\npublic if {\n\tnot contains(input.resource.path, \"public\")":     true,
		"not public\n}\n\npublic if {\n\tnot contains(input.resource.path, \"public\")": false,
		"not is(\"public\")\n}\n\nis(x) if {\n\tcontains(input.resource.path, x)":       true,
		"not is(\"/public/\")\n}\n\nis(x) if {\n\tcontains(input.resource.path, x)":     false,
		"p := input.resource.path\n\tnot contains(p, \"public\")":                       true,
		"count([x | some x in [1]; contains(input.resource.path, \"public\")]) > 0":     false,
	} {
		t.Run(body, func(t *testing.T) {
			found, _, err := check(t.Context(), nil, file("rego.v2", strings.Replace(rule, "%s", body, 1)))
			if err != nil {
				t.Fatal(err)
			}
			got := false
			for _, f := range found {
				got = got || f.Check == "path-anywhere" && f.Warning && f.Line > 0
				if !f.Warning {
					t.Errorf("got %v", f)
				}
			}
			if got != want {
				t.Errorf("got %v, want %v: %v", got, want, found)
			}
		})
	}
}

// What exempts by a part of a text that says who calls, or by the order of a claim that may
// be a text, is warned of; what refuses by it is not.
func TestPartsOfWhoCalls(t *testing.T) {
	for body, want := range map[string]string{
		`not endswith(input.principal.claims.email, "example.com")`:                                                            "identity-part",
		`not endswith(input.principal.claims.email, "@example.com")`:                                                           "",
		`endswith(input.principal.claims.email, "example.com")`:                                                                "",
		`not startswith(input.principal.claims.repository, "acme/pay")`:                                                        "identity-part",
		`not startswith(input.principal.claims.repository, "acme/")`:                                                           "",
		`not startswith(input.principal.issuer, "https://idp.example")`:                                                        "identity-part",
		`not contains(input.principal.issuer, "example.com")`:                                                                  "identity-part",
		`not regex.match("refs/heads/main", input.principal.claims.ref)`:                                                       "identity-part",
		`not regex.match("^refs/heads/(main$|dev)", input.principal.claims.ref)`:                                               "identity-part",
		`not regex.match("^refs/heads/[a-z]+$", input.principal.claims.ref)`:                                                   "",
		`not startswith(input.principal.id, "ci-")`:                                                                            "",
		`not startswith(input.principal.id, "ci")`:                                                                             "identity-part",
		"not ours\n}\n\nours if {\n\tr := input.principal.claims.repository\n\tstartswith(r, \"acme/pay\")":                    "identity-part",
		`not input.principal.claims.level >= 3`:                                                                                "skipped",
		`not 3 <= input.principal.claims.level`:                                                                                "skipped",
		`not input.principal.claims.risk < 3`:                                                                                  "",
		`not input.principal.claims.date >= "2026-01-01"`:                                                                      "",
		"not fresh\n}\n\nfresh if input.principal.claims.auth_time > input.context.time.unix_s - 900\n\nx if {\n\tfresh":       "skipped",
		"not fresh\n}\n\nfresh if {\n\tis_number(input.principal.claims.level)\n\tinput.principal.claims.level > 3":            "",
		"input.principal.claims.risk > 3":                                                                                      "",
		"is_number(input.principal.claims.risk)\n\tinput.principal.claims.risk < 3\n\tnot input.principal.claims.risk == null": "",
	} {
		found, _, err := check(t.Context(), nil, file("rego.v2", meta+head+"{\n"+reads+"\t"+body+"\n}"))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, f := range found {
			if f.Check == "identity-part" || f.Check == "skipped" && strings.Contains(f.Msg, "greater than every number") {
				got[f.Check] = f.Warning && f.Line > 0 && f.Cure != ""
			}
		}
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !got[want]) {
			t.Errorf("%s: got %v, want %q: %v", body, got, want, found)
		}
	}
}
