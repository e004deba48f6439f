package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestScripts runs every script in testdata, each with a gateway and a Vault of its
// own.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			e2e.RunScript(t, f, nil)
		})
	}
}
