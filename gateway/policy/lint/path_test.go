package lint_test

import (
	"strings"
	"testing"
)

// A path that is compared as text, and not segment by segment, is reported whatever function
// compares it: in any case when it is the beginning of the path, else where it exempts.
func TestPathsThatAreComparedAsText(t *testing.T) {
	for body, want := range map[string]string{
		`not startswith(lower(input.resource.path), "public")`:                                                               "prefix-boundary",
		`not startswith(lower(input.resource.path), "public/")`:                                                              "path-anywhere",
		`startswith(lower(input.resource.path), "public/")`:                                                                  "",
		`not startswith(input.resource.relative, "public")`:                                                                  "prefix-boundary",
		`not startswith(input.args.values.path, "public")`:                                                                   "prefix-boundary",
		`not startswith(input.args.values.path, "public/")`:                                                                  "",
		`not startswith(input.resource.segments[0], "public")`:                                                               "prefix-boundary",
		`not startswith(input.resource.segments[0], "public-")`:                                                              "",
		`not input.resource.segments[0] == "public"`:                                                                         "",
		`not input.resource.relative_segments[0] in {"public", "open"}`:                                                      "",
		`not split(input.resource.path, "/")[0] == "public"`:                                                                 "",
		`not startswith(split(input.resource.path, "/")[0], "public")`:                                                       "prefix-boundary",
		`not split(input.resource.path, "-")[0] == "public"`:                                                                 "path-anywhere",
		`count(split(input.resource.path, "public")) == 1`:                                                                   "path-anywhere",
		`not substring(input.resource.path, 0, 6) == "public"`:                                                               "prefix-boundary",
		`substring(input.resource.path, 0, 6) != "public"`:                                                                   "prefix-boundary",
		`substring(input.resource.path, 0, 7) != "public/"`:                                                                  "path-anywhere",
		`not substring(input.resource.path, 4, -1) == "public"`:                                                              "path-anywhere",
		`trim_prefix(input.resource.path, "public") == input.resource.path`:                                                  "prefix-boundary",
		`trim_prefix(input.resource.path, "public/") == input.resource.path`:                                                 "",
		`not trim_prefix(input.resource.path, "mcp/a/") == "public"`:                                                         "",
		`not trim_prefix(input.resource.path, "mcp/a") == "public"`:                                                          "path-anywhere",
		`not trim(input.resource.path, "/") == "public"`:                                                                     "",
		`not replace(input.resource.path, "-", "/") == "public/x"`:                                                           "path-anywhere",
		`replace(input.resource.path, "public", "") == input.resource.path`:                                                  "path-anywhere",
		`input.resource.path == replace(input.resource.path, "public", "")`:                                                  "path-anywhere",
		`replace(input.resource.path, "public", "") != input.resource.path`:                                                  "",
		`trim_left(input.resource.path, "public") == input.resource.path`:                                                    "path-anywhere",
		`trim(input.resource.path, "/") == input.resource.path`:                                                              "",
		`trim_suffix(input.resource.path, "public") == input.resource.path`:                                                  "path-anywhere",
		`regex.replace(input.resource.path, "public", "") == input.resource.path`:                                            "path-anywhere",
		`not replace(input.resource.path, "public", "") != input.resource.path`:                                              "path-anywhere",
		`not regex.replace(input.resource.path, "[0-9]", "") == "public/x"`:                                                  "path-anywhere",
		`not upper(input.resource.path) == "PUBLIC/X"`:                                                                       "path-anywhere",
		`lower(input.resource.path) != "public/x"`:                                                                           "path-anywhere",
		`not glob.match("public*", ["/"], input.resource.path)`:                                                              "prefix-boundary",
		`glob.match("public*", ["/"], input.resource.path)`:                                                                  "prefix-boundary",
		`not glob.match("public/*", ["/"], input.resource.path)`:                                                             "",
		`not glob.match("public/**", ["/"], input.resource.path)`:                                                            "",
		`not glob.match("*public/*", ["/"], input.resource.path)`:                                                            "path-anywhere",
		`not glob.match("**/*public*/**", ["/"], input.resource.path)`:                                                       "path-anywhere",
		`not glob.match("mcp/*/public/**", ["/"], input.resource.path)`:                                                      "",
		`indexof(input.resource.path, "public") == 0`:                                                                        "prefix-boundary",
		`indexof(input.resource.path, "public/") != 0`:                                                                       "",
		`not regex.match("^public", input.resource.path)`:                                                                    "path-anywhere",
		`not regex.match("^public[a-z]*", input.resource.path)`:                                                              "path-anywhere",
		`not regex.match("^public/", input.resource.path)`:                                                                   "",
		`not regex.match("^public(/|$)", input.resource.path)`:                                                               "",
		`not regex.match("(^|/)public(/|$)", input.resource.path)`:                                                           "",
		`not regex.match("^mcp/[^/]+/x$", input.resource.path)`:                                                              "",
		`not regex.match("^a/|public/", input.resource.path)`:                                                                "path-anywhere",
		`not regex.match("(?i)^public/", input.resource.path)`:                                                               "path-anywhere",
		`not strings.any_suffix_match(input.resource.path, ["public"])`:                                                      "path-anywhere",
		`not strings.any_suffix_match(input.resource.path, ["/public"])`:                                                     "",
		`strings.count(input.resource.path, "public") == 0`:                                                                  "path-anywhere",
		`strings.count(input.resource.path, "public") > 0`:                                                                   "",
		`not startswith(concat("/", input.resource.segments), "public")`:                                                     "prefix-boundary",
		`not startswith(concat("/", input.resource.segments), "public/")`:                                                    "",
		`not startswith(sprintf("%s/", [input.resource.path]), "public/")`:                                                   "",
		`not startswith(sprintf("/%s", [input.resource.path]), "/public")`:                                                   "prefix-boundary",
		`not concat("/", array.slice(input.resource.segments, 0, 2)) == "a/b"`:                                               "",
		"some a in input.resource.ancestors\n\tstartswith(a, \"public\")":                                                    "prefix-boundary",
		"some a in input.resource.ancestors\n\ta == \"public\"":                                                              "",
		"some s in input.resource.segments\n\tstartswith(s, \"tmp\")":                                                        "",
		"p := lower(input.resource.path)\n\tnot startswith(p, \"public\")":                                                   "prefix-boundary",
		"p := lower(input.resource.path)\n\tnot p == \"public/x\"":                                                           "path-anywhere",
		"p := substring(input.resource.path, 0, 6)\n\tnot p == \"public\"":                                                   "prefix-boundary",
		"not public\n}\n\np := lower(input.resource.path)\n\npublic if {\n\tstartswith(p, \"public\")":                       "prefix-boundary",
		"not public(input.resource.path)\n}\n\npublic(x) if {\n\tsubstring(x, 0, 6) == \"public\"":                           "prefix-boundary",
		"not startswith(short(input.resource.path), \"public\")\n}\n\nshort(x) := y if {\n\ty := trim_prefix(x, \"mcp/a/\")": "prefix-boundary",
		"not public\n}\n\npublic if {\n\tsome p in {\"public\", \"open\"}\n\tstartswith(input.resource.path, p)":             "prefix-boundary",
		"not public\n}\n\npublic if {\n\tsome p in {\"public/\", \"open/\"}\n\tstartswith(input.resource.path, p)":           "",
		"count([p | some p in [\"public\"]; contains(input.resource.path, p)]) == 0":                                         "path-anywhere",
	} {
		t.Run(body, func(t *testing.T) {
			found, _, err := check(t.Context(), nil, file("rego.v2", strings.Replace(meta+head+"{\n"+reads+"\t%s\n}", "%s", body, 1)))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, f := range found {
				got[f.Check] = true
				if f.Warning != (f.Check == "path-anywhere") {
					t.Errorf("got %v", f)
				}
			}
			if want == "prefix-boundary" {
				delete(got, "path-anywhere") // the text may be altered besides
			}
			if want == "" && len(got) > 0 || want != "" && (len(got) > 1 || !got[want]) {
				t.Errorf("got %v, want %q", found, want)
			}
		})
	}
}

// A helper may lie in a package of its own.
func TestTextsInAPathByALibrary(t *testing.T) {
	lib := "package policy.lib.paths\n\nimport rego.v2\n\npublic(p) if contains(p, \"public\")\n"
	rule := strings.Replace(file("rego.v2", meta+head+"{\n"+reads+"not paths.public(input.resource.path)\n}"), "rego.v2\n", "rego.v2\nimport data.policy.lib.paths\n", 1)
	found, _, err := check(t.Context(), nil, rule, lib)
	if err != nil || len(found) != 1 || found[0].Check != "path-anywhere" || found[0].File != "dir/f1.rego" {
		t.Errorf("%v, %v", err, found)
	}
}
