package regotest_test

import (
	"context"
	"fmt"
	"testing"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/regotest"
)

const rule = `package policy.deny.t

import rego.v2

deny contains {"code": "c", "msg": "m", "rule": "t.r"} if input.action.op == "kv.write"
`

func run(ctx context.Context, tests string, o regotest.Options) (regotest.Report, error) {
	core, err := bundle.Core()
	if err != nil {
		return regotest.Report{}, err
	}
	team := &bundle.Bundle{
		Place: "dir", Data: map[string]any{},
		Rules: []bundle.File{{Name: "t.rego", Text: []byte(rule)}},
		Tests: []bundle.File{{Name: "t_test.rego", Text: []byte("package policy.deny.t_test\n\nimport rego.v2\n\n" + tests)}},
	}
	p, err := program.Compile(ctx, core, team)
	if err != nil {
		return regotest.Report{}, err
	}
	return regotest.Run(ctx, p, o, team)
}

const (
	holds = "test_holds if count(data.policy.deny.t.deny) == 1 with input as {\"action\": {\"op\": \"kv.write\"}}\n"
	fails = "test_fails if count(data.policy.deny.t.deny) == 1 with input as {\"action\": {\"op\": \"kv.read\"}}\n"
)

func TestRun(t *testing.T) {
	tests := []struct {
		name, tests string
		run         string
		ran, failed int
		covered     bool
	}{
		{"one that holds", holds, "", 1, 0, true},
		{"one that fails", fails, "", 1, 1, false},
		{"both", holds + fails, "", 2, 1, true},
		{"one of both", holds + fails, "holds", 1, 0, true},
		{"one that is put off", "todo_" + holds, "", 1, 1, false},
		{"one that errs", "test_errs if to_number(\"x\") > 1\n", "", 1, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := run(t.Context(), tt.tests, regotest.Options{Run: tt.run})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Results) != tt.ran || r.Failed() != tt.failed || r.Coverage.IsCovered("dir/t.rego", 5) != tt.covered {
				t.Errorf("ran %d, failed %d, covered %v", len(r.Results), r.Failed(), r.Coverage.IsCovered("dir/t.rego", 5))
			}
		})
	}
	if _, err := run(t.Context(), "test_x if {", regotest.Options{}); err == nil {
		t.Error("a test that does not parse runs")
	}
	if _, err := run(t.Context(), "test_x if http.send({})\n", regotest.Options{}); err == nil {
		t.Error("a test may call out")
	}
}

func ExampleRun() {
	r, err := run(context.Background(), holds, regotest.Options{})
	fmt.Println(len(r.Results), r.Failed(), err)
	// Output: 1 0 <nil>
}
