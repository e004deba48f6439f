package lint_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

func many(n int) (list []any) {
	for i := range n {
		list = append(list, fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
	}
	return list
}

// Allow-lists and short lists may lie in the data. What may grow without a bound is refused,
// and the cure says the bound.
func TestListsInData(t *testing.T) {
	windows := []any{}
	for range lint.MaxElements {
		windows = append(windows, []any{1.0, 2.0})
	}
	data := map[string]any{"team": map[string]any{"t": map[string]any{
		"allowed": map[string]any{"a": true}, "networks": many(lint.MaxElements), "long": many(lint.MaxElements + 1), "few": many(17),
		"windows": windows, "paths": []any{"shared/", "mcp/a/"}, "names": []any{"shared/", "mcp/a"}, "named": map[string]any{"yule": map[string]any{"from": 1.0, "to": 2.0}},
		"nested": []any{many(300), many(2)}, "by": map[string]any{"a": many(1000)},
	}}}
	for body, want := range map[string]string{
		"not data.team.t.allowed[input.principal.id]":                                                             "",
		"id := input.principal.id\nnot data.team.t.allowed[id]":                                                   "",
		"not data.team.t.allowed[input.principal.id][input.action.op]":                                            "",
		"not listed\n}\n\nlisted if data.team.t.allowed[input.principal.id]\n\nlisted if {\ninput.args.bytes > 3": "",
		"not listed(data.team.t.allowed)\n}\n\nlisted(table) if {\ntable[input.principal.id]":                     "",
		"some a in input.resource.ancestors\nnot data.team.t.allowed[a]":                                          "",
		"not data.team.t.allowed[input.principal.id] or input.args.bytes > 3":                                     "",
		"not near\n}\n\nnear if {\nsome n in data.team.t.networks\nnet.cidr_contains(n, input.context.source_ip)": "",
		"not near\n}\n\nnear if {\nsome n in data.team.t.long\nnet.cidr_contains(n, input.context.source_ip)":     "iteration",
		"count(net.cidr_contains_matches(data.team.t.networks, input.context.source_ip)) == 0":                    "",
		"count(net.cidr_contains_matches(data.team.t.long, input.context.source_ip)) == 0":                        "iteration",
		"some w in data.team.t.windows\ninput.context.time.unix_s >= w[0]\ninput.context.time.unix_s < w[1]":      "",
		"some _, w in data.team.t.named\ninput.context.time.unix_s >= w.from\ninput.context.time.unix_s < w.to":   "",
		"data.team.t.windows[i][0] <= input.context.time.unix_s\ndata.team.t.windows[i][1] > input.args.bytes":    "",
		"every n in data.team.t.networks { not net.cidr_contains(n, input.context.source_ip) }":                   "",
		"every n in data.team.t.long { not net.cidr_contains(n, input.context.source_ip) }":                       "iteration",
		"not input.principal.id in data.team.t.networks":                                                          "",
		"not input.principal.id in data.team.t.long":                                                              "iteration",
		"count([n | some n in data.team.t.long; n == input.principal.id]) == 0":                                   "iteration",
		"not any(data.team.t.long)\n}\n\nany(list) if {\nsome n in list\nn == input.principal.id":                 "iteration",
		"not any(data.team.t.networks)\n}\n\nany(list) if {\nsome n in list\nn == input.principal.id":             "",
		"some x in data.team.t.few\nsome y in data.team.t.few\nx == y":                                            "iteration",
		"some x in data.team.t.few\nx in data.team.t.few":                                                         "iteration",
		"some x in data.team.t.few\nany(x)\n}\n\nany(x) if {\nsome y in data.team.t.few\nx == y":                  "iteration",
		"every x in data.team.t.few { every y in data.team.t.few { x != y } }":                                    "iteration",
		"some x in data.team.t.nested\nsome y in x\ny == input.principal.id":                                      "iteration",
		"some x in data.team.t.by[input.principal.id]\nx == input.resource.path":                                  "",
		"some p in data.team.t.paths\nstartswith(input.resource.path, p)":                                         "",
		"some p in data.team.t.names\nstartswith(input.resource.path, p)":                                         "prefix-boundary",
		"startswith(input.resource.path, data.team.t.paths[0])":                                                   "prefix-boundary",
		"some x in data.tenants\nx == input.principal.id":                                                         "iteration",
	} {
		t.Run(body, func(t *testing.T) {
			found, _, err := check(t.Context(), data, file("rego.v2", meta+head+"{\n"+reads+body+"\n}"))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range found {
				got += f.Check
				if strings.Contains(f.Msg, "data.team.t.long") && (!strings.Contains(f.Msg, "257") || !strings.Contains(f.Msg, "256")) {
					t.Errorf("no bound in %v", f)
				}
			}
			if got != want {
				t.Errorf("got %v, want %q", found, want)
			}
		})
	}
}

// What is run through is told with its size, so that people see how far the bound is.
func TestListsAreTold(t *testing.T) {
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Compile(t.Context(), core, &bundle.Bundle{
		Place: "dir", Data: map[string]any{"team": map[string]any{"t": map[string]any{"networks": many(12)}}},
		Rules: []bundle.File{{Name: "r.rego", Text: []byte(file("rego.v2", meta+head+"{\n"+reads+"some n in data.team.t.networks\nnet.cidr_contains(n, input.context.source_ip)\n}"))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := lint.Lists(p); len(got) != 1 || got["data.team.t.networks"] != 12 {
		t.Errorf("got %v", got)
	}
}
