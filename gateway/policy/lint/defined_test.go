package lint_test

import (
	"strings"
	"testing"
)

// reported is a policy whose denial has a message, conditions and helpers.
func reported(msg, conditions, helpers string) string {
	return file("rego.v2", meta+`deny contains {"code": "t.r", "msg": `+msg+`, "rule": "t.r"} if {`+"\n"+reads+conditions+"\n}\n"+helpers)
}

// A rule whose conditions hold must speak: nothing that it reports may be missing then.
func TestRulesThatSomethingTheyReportSilences(t *testing.T) {
	for name, text := range map[string]string{
		"an argument":                            reported(`sprintf("%v", [input.args.values.ttl])`, "", ""),
		"an argument that another rule asks for": reported(`sprintf("%v", [input.args.values.ttl])`, "", "\n"+meta2+`deny contains {"code": "t.s", "msg": "m", "rule": "t.s"} if {`+"\n"+reads+"input.args.values.ttl > 5\n}"),
		"an argument that a not asks for":        reported(`sprintf("%v", [input.args.values.ttl])`, "not input.args.values.ttl > 5", ""),
		"an argument in a comprehension":         reported(`sprintf("%v", [input.args.values.ttl])`, "count([1 | input.args.values.ttl > 5]) == 0", ""),
		"an argument in one of two":              reported(`sprintf("%v", [input.args.values.ttl])`, `input.args.values.ttl > 5 or input.args.bytes > 3`, ""),
		"a nested argument":                      reported(`input.args.values.a.b`, `input.args.values.a != ""`, ""),
		"an argument by an alias":                strings.Replace(reported(`sprintf("%v", [v.ttl])`, "", ""), "rego.v2\n", "rego.v2\nimport input.args.values as v\n", 1),
		"an argument by a variable":              reported(`sprintf("%v", [ttl])`, "ttl := input.args.values.ttl", ""),
		"a message that the body makes":          reported(`msg`, `msg := sprintf("%v", [input.args.values.ttl])`, ""),
		"a message that is made in steps":        reported(`msg`, "v := input.args.values\nt := v.ttl\nmsg := concat(\" \", [\"at most\", t])", ""),
		"a claim":                                reported(`input.principal.claims.env`, "", ""),
		"who acts":                               reported(`input.principal.on_behalf_of.id`, "", ""),
		"who acts, which is there as null":       reported(`input.principal.on_behalf_of.id`, "input.principal.on_behalf_of", ""),
		"a field that is written":                reported(`sprintf("%d", [input.args.fields.password])`, "", ""),
		"an element of a list":                   reported(`input.resource.segments[2]`, "", ""),
		"an element of a short list":             reported(`input.resource.segments[2]`, "count(input.resource.segments) > 1", ""),
		"a part of a text":                       reported(`split(input.resource.path, "/")[1]`, "", ""),
		"arithmetic":                             reported(`sprintf("%d", [input.args.values.ttl / 60])`, "", ""),
		"the largest of what may be nothing":     reported(`sprintf("%d", [max([t | some t in input.args.values.ttls])])`, "", ""),
		"an entry of a table":                    reported(`data.team.t.table[input.principal.id]`, "", ""),
		"data that are not there":                reported(`data.team.t.text`, "", ""),
		"what nothing binds":                     reported(`input.principal.roles[_]`, "", ""),
		"a helper":                               reported(`asked`, "", "asked := input.args.values.ttl"),
		"a helper with a condition":              reported(`asked`, "", "asked := \"x\" if input.principal.kind == \"agent\""),
		"a helper in another":                    reported(`sprintf("%s", [text])`, "", "text := concat(\"\", [asked])\n\nasked := input.args.values.ttl"),
		"a helper in steps":                      reported(`sprintf("%s", [t])`, "t := asked", "asked := \"x\" if input.principal.kind == \"agent\""),
		"a function":                             reported(`say(input.args.values.ttl)`, "", "say(x) := sprintf(\"%v\", [x])"),
		"a function of what has no such field":   reported(`say(input.args.values)`, "", "say(x) := sprintf(\"%v\", [x.ttl])"),
		"a function with a condition":            reported(`say(input.principal.kind)`, "", "say(x) := \"no\" if x == \"agent\""),
		"a function with a case":                 reported(`say(input.principal.kind)`, "", "say(\"agent\") := \"no\""),
		"a function whose else has a condition":  reported(`say(input.principal.kind)`, "", "say(x) := \"no\" if {\nx == \"agent\"\n} else := \"yes\" if x == \"human\""),
		"a function in the body":                 reported(`msg`, "msg := sprintf(\"%s\", [say(input.principal.kind)])", "say(x) := \"no\" if x == \"agent\""),
		"the entries of a helper":                reported(`msg`, "some msg in problems", "problems contains sprintf(\"%v\", [input.args.values.ttl]) if input.args.bytes > 3"),
		"the entries of a helper, by a wildcard": reported(`msg`, "msg := problems[_]", "problems contains sprintf(\"%v\", [input.args.values.ttl]) if input.args.bytes > 3"),
		"a helper that decides":                  reported(`why`, "why := problem", "problem := sprintf(\"%v\", [input.args.values.ttl]) if input.args.bytes > 3"),
		"a denial that is made before":           file("rego.v2", meta+"deny contains reason if {\n"+reads+"reason := {\"code\": \"t.r\", \"msg\": input.args.values.ttl, \"rule\": \"t.r\"}\n}"),
		"a denial that a function makes":         file("rego.v2", meta+"deny contains reason(\"t.r\", input.args.values.ttl) if input.action.op == \"kv.read\"\n\nreason(id, msg) := {\"code\": id, \"msg\": msg, \"rule\": id}"),
		"an audience":                            file("rego.v2", meta+`deny contains {"code": "t.r", "msg": "m", "audience": input.args.values.audience, "rule": "t.r"} if input.action.op == "kv.read"`),
		"a bound of an obligation":               "package policy.obligations.t\n\nimport rego.v2\n\n" + meta + "obligation contains {\"max_ttl_s\": input.args.values.ttl} if input.action.op == \"kv.read\"\n",
		"an argument of a transform":             "package policy.obligations.t\n\nimport rego.v2\n\n" + meta + "obligation contains {\"transforms\": [{\"name\": \"mask\", \"args\": {\"keys\": input.args.values.keys}}]} if input.action.op == \"kv.read\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			found, _, err := check(t.Context(), map[string]any{"team": map[string]any{"t": map[string]any{"table": map[string]any{"a": "x"}}}}, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Check == "reason" && !f.Warning && f.Line > 0 && strings.Contains(f.Msg, "may be undefined") && f.Cure != "" {
					return
				}
			}
			t.Errorf("got %v\n%s", found, text)
		})
	}
}

const meta2 = "# METADATA\n# custom:\n#   id: t.s\n"

// What a condition of the same rule asks for, what is always there and what has a default
// may be reported.
func TestRulesThatSpeakWheneverTheirConditionsHold(t *testing.T) {
	for name, text := range map[string]string{
		"a field":                                          reported(`sprintf("%s %s", [input.resource.path, input.principal.acting.id])`, "", ""),
		"a number":                                         reported(`sprintf("%d", [input.args.bytes / 1024])`, "", ""),
		"an argument that is asked for":                    reported(`sprintf("%v", [input.args.values.ttl])`, "input.args.values.ttl > 5", ""),
		"an argument, on a line of its own":                reported(`sprintf("%v", [input.args.values.ttl])`, "input.args.values.ttl", ""),
		"an argument by a variable":                        reported(`sprintf("%v", [ttl])`, "ttl := input.args.values.ttl\nttl > 5", ""),
		"an argument that is converted":                    reported(`sprintf("%v", [ttl])`, "ttl := to_number(input.args.values.ttl)\nttl > 5", ""),
		"an argument among the keys":                       reported(`sprintf("%v", [input.args.values.ttl])`, `"ttl" in input.args.keys`, ""),
		"every argument":                                   reported(`sprintf("%v", [input.args.values[k]])`, "some k in input.args.keys\nk == \"x\"", ""),
		"an argument by object.get":                        reported(`sprintf("%v", [input.args.values.ttl])`, `object.get(input.args.values, "ttl", 0) > 5`, ""),
		"an argument with a default":                       reported(`sprintf("%v", [object.get(input.args.values, "ttl", 0)])`, "", ""),
		"an argument in a template":                        reported(`$"at most {input.args.values.ttl}"`, "", ""),
		"an argument that a helper asks for":               reported(`sprintf("%v", [input.args.values.ttl])`, "long", "long if input.args.values.ttl > 5"),
		"an argument that every rule of a helper asks for": reported(`sprintf("%v", [input.args.values.ttl])`, "long", "default long := false\n\nlong if input.args.values.ttl > 5\n\nlong if {\nt := input.args.values.ttl\nt == 0\n}"),
		"an argument that a function takes":                reported(`sprintf("%v", [input.args.values.ttl])`, "long(input.args.values)", "long(v) if v.ttl > 5"),
		"an argument in each of two":                       reported(`sprintf("%v", [input.args.values.ttl])`, `input.args.values.ttl > 5 or input.args.values.ttl == 0`, ""),
		"an argument in a set":                             reported(`sprintf("%v", [input.args.values.type])`, `input.args.values.type in {"a", "b"}`, ""),
		"who acts, when somebody does":                     reported(`input.principal.on_behalf_of.id`, "input.principal.on_behalf_of != null", ""),
		"each who acts":                                    reported(`sprintf("%s", [a.id])`, "some a in input.principal.actors\na.kind == \"agent\"", ""),
		"each role":                                        reported(`sprintf("%s", [r])`, "some r in input.principal.roles\nstartswith(r, \"x\")", ""),
		"each part":                                        reported(`p`, "some p in split(input.args.values.valid_principals, \",\")", ""),
		"an element of a long list":                        reported(`input.resource.segments[2]`, "count(input.resource.segments) > 2", ""),
		"an element that is compared":                      reported(`input.resource.segments[2]`, "input.resource.segments[2] == \"prod\"", ""),
		"the first part of a text":                         reported(`split(input.resource.path, "/")[0]`, "", ""),
		"the largest of some":                              reported(`sprintf("%d", [max(input.args.values.ttls)])`, "count(input.args.values.ttls) > 0", ""),
		"a list that is made":                              reported(`concat(", ", [r | some r in input.principal.roles])`, "", ""),
		"a set that a helper makes":                        reported(`concat(", ", bad)`, "count(bad) > 0", "bad contains r if some r in input.principal.roles"),
		"an entry of a table that decides":                 reported(`why`, "why := data.team.t.table[input.principal.id]", ""),
		"an entry of a table in a text":                    reported(`sprintf("until %s", [end])`, "end := data.team.t.table[input.principal.id]", ""),
		"an entry of a table that is asked for":            reported(`data.team.t.table[input.principal.id]`, "data.team.t.table[input.principal.id] != \"\"", ""),
		"data that are there":                              reported(`data.team.t.text`, "", ""),
		"a helper that decides":                            reported(`why`, "why := problem", "problem := \"too long\" if input.args.values.ttl > 5"),
		"a helper with a default":                          reported(`asked`, "", "default asked := \"none\"\n\nasked := input.args.values.ttl if input.args.values.ttl"),
		"a helper with an else":                            reported(`asked`, "", "asked := input.args.values.ttl if {\ninput.args.values.ttl\n} else := \"none\""),
		"a helper with the same condition":                 reported(`asked`, "", "asked := \"x\" if input.action.op == \"kv.read\""),
		"a helper that is a constant":                      reported(`texts.no`, "", "texts := {\"no\": \"m\"}"),
		"a function":                                       reported(`say(input.principal.kind)`, "", "say(x) := sprintf(\"%v\", [x])"),
		"a function in steps":                              reported(`say(input.principal.kind)`, "", "say(x) := y if {\nu := upper(x)\ny := concat(\" \", [\"no\", u])\n}"),
		"a function with a default":                        reported(`say(input.principal.kind)`, "", "default say(_) := \"no\"\n\nsay(x) := \"yes\" if x == \"human\""),
		"a function of what is asked for":                  reported(`say(input.args.values)`, "input.args.values.ttl > 5", "say(x) := sprintf(\"%v\", [x.ttl])"),
		"the entries of a helper":                          reported(`msg`, "some msg in problems", "problems contains sprintf(\"%v\", [input.args.values.ttl]) if input.args.values.ttl > 5"),
	} {
		t.Run(name, func(t *testing.T) {
			found, _, err := check(t.Context(), map[string]any{"team": map[string]any{"t": map[string]any{"text": "x", "table": map[string]any{"a": "x"}}}}, text)
			if err != nil || found.Err() != nil {
				t.Errorf("%v, %v\n%s", err, found, text)
			}
		})
	}
}
