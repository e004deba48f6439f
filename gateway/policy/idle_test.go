package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/policy"
)

// A gateway whose policy does not change reads none of its files, however large they are,
// and takes the next change all the same. Memory is counted, because time says nothing on
// a busy machine.
func TestAnIdleGatewayDoesNotReadItsPolicy(t *testing.T) {
	var text strings.Builder
	text.WriteString("grants:\n  subjects:\n    agent_api: {db: {readonly: {}}}\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "    agent_%d: {kv: {shared/team%d: {}}}\n", i, i)
	}
	dir := team(t, map[string]string{"data.yaml": text.String()})
	later := func() time.Time { return time.Now().Add(time.Hour) } // the files have long been as they are
	e := open(t, policy.Config{Dir: dir, Shadow: dir, Now: later})
	look := policy.Looker(e)
	for range 3 {
		look(t.Context())
	}
	each := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			look(t.Context())
		}
	})
	if n := each.AllocedBytesPerOp(); n > 16<<10 {
		t.Errorf("a look at what has not changed takes %d bytes", n)
	}
	before := e.Status().Revision
	write(t, dir, "data.yaml", granting)
	for range 2 { // a change is taken when it was the same at two looks
		look(t.Context())
	}
	if e.Status().Revision == before {
		t.Error("a change is not taken")
	}
}
