package bench_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/ops"
	"portcullis/gateway/policy/bench"
)

// The cases must run; what they cost is for `policy bench` to say.
func TestCasesRun(t *testing.T) {
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	cases, err := bench.Decisions(t.TempDir(), cat)
	if err != nil {
		t.Fatal(err)
	}
	results, err := bench.Run(t.Context(), bench.Options{Rounds: 1, Round: time.Millisecond}, cases...)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := bench.Print(&out, results); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != len(cases)+1 {
		t.Errorf("a table of %d lines for %d cases", got, len(cases))
	}
}

func ExampleRun() {
	n := 0
	count := bench.Case{Name: "count", Base: "count", Do: func(context.Context) error { n++; return nil }}
	results, err := bench.Run(context.Background(), bench.Options{Rounds: 3, Round: time.Microsecond}, count)
	fmt.Println(len(results), results[0].Name, n > 0, err)
	// Output: 1 count true <nil>
}
