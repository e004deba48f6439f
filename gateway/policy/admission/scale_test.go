package admission_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// What a check does grows with the data, and not faster. Allocations are counted, because
// time says nothing on a busy machine.
func TestAllocationsOfACheckGrowWithTheData(t *testing.T) {
	checkOf(t, 0) // what a process allocates once, for its first check alone, is none of the data's
	base, small, large := checkOf(t, 0), checkOf(t, 4000), checkOf(t, 8000)
	if ratio := float64(large-base) / float64(small-base); ratio > 2.2 {
		t.Errorf("twice the data take %.2f times the allocations: %d, %d, %d", ratio, base, small, large)
	}
	if each := (large - base) / 8000; each > 300 {
		t.Errorf("%d allocations for a subject with two grants", each)
	}
}

// checkOf is how many allocations the check of so many subjects takes.
func checkOf(t *testing.T, subjects int) uint64 {
	t.Helper()
	var text strings.Builder
	text.WriteString("grants:\n  subjects:\n    first: {}\n")
	for i := range subjects {
		fmt.Fprintf(&text, "    agent_%d: {kv: {shared/team%d/a%d: {ops: [kv.read, kv.list]}}, transit: {key%d: {}}}\n", i, i%100, i, i%50)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b, err := bundle.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := run(t.Context(), b); err != nil || len(r.Findings) > 0 {
		t.Fatal(err, r.Findings)
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}
