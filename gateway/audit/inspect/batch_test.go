package inspect

import (
	"strings"
	"testing"
)

// TestEmptyLinesAreReadInPieces: gigabytes of them fit into a segment of a few megabytes.
func TestEmptyLinesAreReadInPieces(t *testing.T) {
	const lines = 10 * batchLines
	most, all := 0, 0
	if err := batches(strings.NewReader(strings.Repeat("\n", lines)), func(b *batch) error {
		most, all = max(most, len(b.lines)), all+len(b.lines)
		return nil
	}); err != nil || all != lines {
		t.Fatalf("%d of %d lines, %v", all, lines, err)
	}
	if most > batchLines {
		t.Errorf("%d lines at once", most)
	}
}
