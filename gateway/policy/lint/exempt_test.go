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
