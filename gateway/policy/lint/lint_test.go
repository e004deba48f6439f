package lint_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

const (
	meta = "# METADATA\n# custom:\n#   id: t.r\n"
	head = `deny contains {"code": "t.r", "msg": "m", "rule": "t.r"} if `
)

// file is a module of a team with a body.
func file(imports, text string) string {
	return "package policy.deny.t\n\nimport " + imports + "\n\n" + text + "\n"
}

func check(ctx context.Context, data map[string]any, texts ...string) (program.Findings, []lint.Rule, error) {
	return checkWith(ctx, nil, data, texts...)
}

func checkWith(ctx context.Context, ops []*op.Op, data map[string]any, texts ...string) (program.Findings, []lint.Rule, error) {
	core, err := bundle.Core()
	if err != nil {
		return nil, nil, err
	}
	team := &bundle.Bundle{Place: "dir", Data: data}
	for i, text := range texts {
		team.Rules = append(team.Rules, bundle.File{Name: fmt.Sprintf("f%d.rego", i), Text: []byte(text)})
	}
	p, err := program.Compile(ctx, core, team)
	if fs, ok := errors.AsType[program.Findings](err); ok {
		return fs, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	found, rules := lint.Check(p, ops)
	return found, rules, nil
}

// reads is a first condition that the rule index understands.
const reads = "input.action.op == \"kv.read\"\n"

func TestCheck(t *testing.T) {
	list, table := []any{}, map[string]any{}
	for i := range lint.MaxElements + 1 {
		list, table[fmt.Sprint(i)] = append(list, fmt.Sprint(i)), true
	}
	data := map[string]any{"team": map[string]any{"t": map[string]any{"list": list, "table": table}}}
	v1, v2 := "rego.v1", "rego.v2"
	tests := []struct {
		name, text string
		want       string // check@line, in order; empty for nothing
	}{
		{"sound, newest", file(v2, meta+head+"{\n"+reads+"not input.principal.kind == \"human\"\n}"), ""},
		{"sound, v1 without not", file(v1, meta+head+"{\n"+reads+"input.principal.kind == \"agent\"\n}"), ""},
		{"sound, v1 not of a rule", file(v1, meta+head+"{\n"+reads+"not good\n}\n\ngood if input.principal.kind == \"human\""), ""},
		{"sound, v1 not of a field that may lack", file(v1, meta+head+"{\n"+reads+"not input.principal.on_behalf_of.id\n}"), ""},
		{"sound, v2 not of a value", file(v2, meta+head+"{\n"+reads+"not input.args.values.version\n}"), ""},
		{"sound, v2 not of a boolean", file(v2, meta+head+"{\n"+reads+"not input.action.public\n}"), ""},
		{"v1 not of a field that is always there", file(v1, meta+head+"{\n"+reads+"not input.principal.tenant\n}"), "never@10"},
		{"v2 not of a field that is always there", file(v2, meta+head+"{\n"+reads+"not input.principal.on_behalf_of\n}"), "never@10"},
		{"what is emitted may lack", file(v2, meta+`deny contains {"code": "t.r", "msg": sprintf("%s", [input.principal.on_behalf_of.id]), "rule": "t.r"} if {`+"\n"+reads+"}"), "reason@8"},
		{"who is emitted is asked for", file(v2, meta+`deny contains {"code": "t.r", "msg": sprintf("%s", [input.principal.on_behalf_of.id]), "rule": "t.r"} if {`+"\n"+reads+"delegated\n}\n\ndelegated if input.principal.on_behalf_of.kind == \"human\""), ""},
		{"what is emitted may lack, and is asked for", file(v2, meta+`deny contains {"code": "t.r", "msg": sprintf("%s", [input.args.values.x]), "rule": "t.r"} if {`+"\n"+reads+"input.args.values.x != \"\"\n}"), ""},
		{"sound, lookup by the caller", file(v2, meta+head+"{\n"+reads+"data.team.t.table[input.principal.id]\n}"), ""},
		{"sound, lookup by ancestors", file(v2, meta+head+"{\n"+reads+"some a in input.resource.ancestors\ndata.team.t.table[a]\n}"), ""},
		{"sound, worked out message", file(v2, meta+`deny contains {"code": "t.r", "msg": sprintf("%s is closed", [input.resource.path]), "rule": "t.r"} if {`+"\n"+reads+"}"), ""},
		{"v1 not of a comparison", file(v1, meta+head+"{\n"+reads+"not input.principal.kind == \"human\"\n}"), "v1-not@10"},
		{"v1 not of a membership", file(v1, meta+head+"{\n"+reads+"not \"x\" in input.principal.scopes\n}"), "v1-not@10"},
		{"v1 not of a lookup", file(v1, meta+head+"{\n"+reads+"not data.team.t.table[input.principal.id]\n}"), "v1-not@10"},
		{"v1 not in a comprehension", file(v1, meta+head+"{\n"+reads+"count([s | some s in input.principal.scopes; not s == input.principal.id]) > 0\n}"), "v1-not@10"},
		{"v1 not of a function that fails", file(v1, meta+head+"{\n"+reads+"x := input.principal.id\nnot to_number(x) > 3\n}"), "lax-negation@11 v1-not@11"},
		{"object.get of the input", file(v2, meta+head+"{\n"+reads+"object.get(input.principal, \"suspendd\", false)\n}"), "object-get-input@10"},
		{"iteration by some", file(v2, meta+head+"{\n"+reads+"some x in data.team.t.list\nx == input.principal.id\n}"), "iteration@10"},
		{"iteration by a wildcard", file(v2, meta+head+"{\n"+reads+"data.team.t.list[_] == input.principal.id\n}"), "iteration@10"},
		{"iteration by every", file(v2, meta+head+"{\n"+reads+"every x in data.team.t.list { x != input.principal.id }\n}"), "iteration@10"},
		{"iteration in a comprehension", file(v2, meta+head+"{\n"+reads+"count({x | some x in data.team.t.list}) > 3\n}"), "iteration@10"},
		{"scan", file(v2, meta+head+"{\n"+reads+"input.principal.id in data.team.t.list\n}"), "iteration@10"},
		{"scan of grants", file(v2, meta+head+"{\n"+reads+"input.principal.id in data.tenants\n}"), "scan@10"},
		{"prefix without a boundary", file(v2, meta+head+"{\nstartswith(input.resource.path, \"team1\")\n}"), "prefix-boundary@9"},
		{"prefix with one", file(v2, meta+head+"{\nstartswith(input.resource.path, \"team1/\")\n}"), ""},
		{"v1 not of an alias", strings.Replace(file(v1, meta+head+"{\n"+reads+"not p.kind == \"human\"\n}"), "rego.v1\n", "rego.v1\nimport input.principal as p\n", 1), "v1-not@11"},
		{"v1 not of a variable", file(v1, meta+head+"{\n"+reads+"p := input.principal\nnot p.kind == \"human\"\n}"), "v1-not@11"},
		{"v1 not of an argument", file(v1, meta+head+"{\n"+reads+"bad(input.principal)\n}\n\nbad(p) if not p.kind == \"human\""), "v1-not@13"},
		{"v1 not of a rule inside a comparison", file(v1, meta+head+"{\n"+reads+"not level > 2\n}\n\nlevel := 3 if input.principal.kind == \"human\""), "v1-not@10"},
		{"sound, v2 not of a variable", file(v2, meta+head+"{\n"+reads+"p := input.principal\nnot p.kind == \"human\"\n}"), ""},
		{"object.get on a variable", file(v2, meta+head+"{\n"+reads+"p := input.principal\nobject.get(p, \"kin\", \"x\") == \"x\"\n}"), "object-get-input@11"},
		{"object.get on an argument", file(v2, meta+head+"{\n"+reads+"get(input.principal) == \"x\"\n}\n\nget(o) := object.get(o, \"kin\", \"x\")"), "object-get-input@13"},
		{"sound, object.get on an argument's value", file(v2, meta+head+"{\n"+reads+"object.get(input.args.values, \"ttl_s\", 0) > 5\n}"), ""},
		{"prefix of a variable", file(v2, meta+head+"{\n"+reads+"p := input.resource.path\nstartswith(p, \"team1\")\n}"), "prefix-boundary@11"},
		{"one of several prefixes", file(v2, meta+head+"{\n"+reads+"strings.any_prefix_match(input.resource.path, [\"a/\", \"b\"])\n}"), "prefix-boundary@10"},
		{"pattern that is a prefix", file(v2, meta+head+"{\n"+reads+"not regex.match(\"^mcp/team1\", input.resource.path)\n}"), "prefix-boundary@10"},
		{"sound, prefixes that are put together", file(v2, meta+head+"{\n"+reads+"not own\n}\n\nown if startswith(input.resource.path, sprintf(\"%s/\", [input.principal.prefix]))\n\nown if startswith(input.resource.path, concat(\"/\", [input.principal.prefix, \"\"]))\n\nown if {\nsome p in shared\nstartswith(input.resource.path, p)\n}\n\nshared := {\"a/\", \"b/\"}"), ""},
		{"list in a variable", file(v2, meta+head+"{\n"+reads+"l := data.team.t.list\nsome x in l\nx == input.principal.id\n}"), "iteration@11"},
		{"list behind a rule", file(v2, meta+head+"{\n"+reads+"some x in l\nx == input.principal.id\n}\n\nl := data.team.t.list"), "iteration@10"},
		{"list given to a function", file(v2, meta+head+"{\n"+reads+"has(data.team.t.list)\n}\n\nhas(l) if {\nsome x in l\nx == input.principal.id\n}"), "iteration@10"},
		{"all names of a table", file(v2, meta+head+"{\n"+reads+"input.principal.id in object.keys(data.team.t.table)\n}"), "iteration@10"},
		{"sound, a list that is looked up", file(v2, meta+head+"{\n"+reads+"some x in data.team.t.table[input.principal.id]\nx.from < 5\n}"), ""},
		{"sound, an entry given to a function", file(v2, meta+head+"{\n"+reads+"has(data.team.t.table[input.principal.id])\n}\n\nhas(l) if {\nsome x in l\nx.from < 5\n}"), ""},
		{"sound, what is emitted is made before", file(v2, meta+"deny contains reason if {\n"+reads+"reason := {\"code\": \"t.r\", \"msg\": \"m\", \"rule\": \"t.r\"}\n}"), ""},
		{"sound, a function makes what is emitted", file(v2, meta+"deny contains reason(\"t.r\") if input.action.op == \"kv.read\"\n\nreason(id) := {\"code\": id, \"msg\": \"m\", \"rule\": id}"), ""},
		{"a text is made before", file(v2, meta+"deny contains msg if {\n"+reads+"msg := \"no\"\n}"), "reason@8"},
		{"a message that may not be there", file(v2, meta+`deny contains {"code": "t.r", "msg": data.team.t.table[input.principal.id], "rule": "t.r"} if {`+"\n"+reads+"}"), "reason@8"},
		{"an id of the gateway's", file(v2, strings.ReplaceAll(meta+head+"{\n"+reads+"}", "t.r", "gateway.scope")), "id@8"},
		{"an obligation that nobody knows", "package policy.obligations.t\n\nimport rego.v2\n\n" + meta + "obligation contains {\"delivery\": \"masked\"} if input.action.op == \"kv.read\"\n", "obligation@8"},
		{"an approval", "package policy.obligations.t\n\nimport rego.v2\n\n" + meta + "obligation contains {\"approval\": {\"group\": \"sec\"}} if input.action.op == \"kv.read\"\n", "obligation@8"},
		{"an unknown delivery", "package policy.obligations.t\n\nimport rego.v2\n\n" + meta + "obligation contains {\"deliver\": \"Masked\"} if input.action.op == \"kv.read\"\n", "obligation@8"},
		{"sound, an obligation that names its rule", "package policy.obligations.t\n\nimport rego.v2\n\n" + meta + "obligation contains {\"deliver\": \"masked\", \"max_ttl_s\": ttl, \"rule\": \"t.r\"} if {\n" + reads + "ttl := data.team.t.table[input.principal.id]\n}\n", ""},
		{"unindexed", file(v2, meta+head+"{\ninput.args.bytes > 100\n}"), "unindexed@8"},
		{"bare pattern", file(v2, meta+head+"{\nregex.match(\"^a.*\", input.resource.path)\n}"), "unindexed@8"},
		{"guarded pattern", file(v2, meta+head+"{\n"+reads+"regex.match(\"^a.*\", input.resource.path)\n}"), ""},
		{"with", file(v2, meta+head+"{\n"+reads+"data.policy.deny.t.x with input.principal.kind as \"human\"\n}\n\nx if input.principal.kind == \"human\""), "with@10"},
		{"deny that is true", file(v2, meta+"deny := true if input.action.op == \"kv.read\""), "shape@8"},
		{"misspelt", file(v2, meta+strings.Replace(head, "deny", "Deny", 1)+"{\n"+reads+"}"), "shape@8"},
		{"no deny at all", file(v2, "x if input.action.op == \"kv.read\""), "shape@1 unused@5"},
		{"unused helper", file(v2, meta+head+"{\n"+reads+"}\n\nspare if input.action.op == \"kv.read\""), "unused@12"},
		{"no id", file(v2, head+"{\n"+reads+"}"), "id@5"},
		{"another id", file(v2, strings.Replace(meta, "t.r", "t.s", 1)+head+"{\n"+reads+"}"), "id@8"},
		{"the same id twice", file(v2, meta+head+"{\n"+reads+"}\n\n"+meta+head+"{\ninput.action.op == \"kv.list\"\n}"), "id@15"},
		{"no code", file(v2, meta+`deny contains {"msg": "m", "rule": "t.r"} if {`+"\n"+reads+"}"), "reason@8"},
		{"a text", file(v2, meta+`deny contains "no" if {`+"\n"+reads+"}"), "reason@8"},
		{"an unknown audience", file(v2, meta+`deny contains {"code": "t.r", "msg": "m", "rule": "t.r", "audience": "all"} if {`+"\n"+reads+"}"), "reason@8"},
		{"another package", "package team.rules\n\nimport rego.v2\n\ndeny contains 1 if input.action.op == \"kv.read\"\n", "package@1"},
		{"the gateway's package", "package gateway\n\nimport rego.v2\n\ngranted if input.action.op == \"kv.read\"\n", "package@1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _, err := check(t.Context(), data, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, fmt.Sprintf("%s@%d", f.Check, f.Line))
				if f.File != "dir/f0.rego" || f.Msg == "" || f.Cure == "" {
					t.Errorf("incomplete: %+v", f)
				}
				if warning := slices.Contains([]string{"scan", "unindexed", "never"}, f.Check); f.Warning != warning {
					t.Errorf("%s: warning %v", f.Check, f.Warning)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q\n%s", got, tt.want, tt.text)
			}
		})
	}
}

func TestAPackageMayLieInTwoFiles(t *testing.T) {
	found, rules, err := check(t.Context(), nil,
		file("rego.v2", meta+head+"{\n"+reads+"cards\n}"), file("rego.v2", "cards if \"cards\" in input.resource.ancestors"))
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", err, found)
	}
	if len(rules) != 1 || rules[0] != (lint.Rule{ID: "t.r", File: "dir/f0.rego", Line: 8}) {
		t.Errorf("got %+v", rules)
	}
}

func ExampleCheck() {
	found, _, err := check(context.Background(), nil, file("rego.v2", meta+"deny := true if input.action.op == \"kv.read\""))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range found {
		fmt.Println(f)
	}
	// Output:
	// dir/f0.rego:8: error: deny is not a set, so nothing reads it [shape]
	//     cure: write `deny contains {…} if {…}`
}
