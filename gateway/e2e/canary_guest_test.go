package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/transform/abuse"
)

// talkative is a manifest with a module that logs the beginning of everything that it is
// given: the arguments and the result of every call.
func talkative(t *testing.T) string {
	t.Helper()
	dir, bin := t.TempDir(), abuse.LogsInput(0, 256)
	manifest := fmt.Sprintf("apiVersion: portcullis.wasm/v1\nmodules:\n  - {name: talkative, file: m.wasm, sha256: %x, abi: 1, hooks: [request, response], apply: mandatory, logs: true, counters: [things]}\n", sha256.Sum256(bin))
	for name, text := range map[string][]byte{"m.wasm": bin, "manifest.yaml": []byte(manifest)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "manifest.yaml")
}

// heardGuest wants the module to have logged lines, in which what it was given is hidden.
// That they hold no canary is looked for with everything else.
func heardGuest(t *testing.T, g *stack.Gateway) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.LogDir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines, hidden := 0, 0
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, "a transform module logged a line") {
			lines++
			hidden += min(1, strings.Count(line, "[redacted]"))
		}
	}
	if lines < 4 || hidden < lines/2 {
		t.Errorf("the module logged %d lines, of which %d hide something", lines, hidden)
	}
}
