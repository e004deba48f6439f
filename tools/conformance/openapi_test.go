package conformance_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/e2e/stack"
)

// generated is what a generated client reports of its use.
type generated struct {
	Version   int
	Nested    map[string]any
	RequestID string
	Code      string
	Ticket    string
	Event     string
}

// TestOpenAPIClients: clients that generators make of the served document compile
// strictly, and write and read a secret with objects and lists in it.
func TestOpenAPIClients(t *testing.T) {
	g, _ := newGateway(t)
	dir := workshop(t, g)
	const tsc = "node_modules/typescript/bin/tsc"
	strict := []string{tsc, "--strict", "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--skipLibCheck"}
	for name, steps := range map[string][][]string{
		"openapi-typescript and openapi-fetch": {
			{"node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "schema.d.ts"},
			append(slices.Clone(strict), "--noEmit", "--module", "esnext", "--moduleResolution", "bundler", "fetch.ts"),
			{"fetch.ts", g.URL, "dev-api-key"},
		},
		"hey-api": {
			{"node_modules/@hey-api/openapi-ts/bin/run.js", "-i", "openapi.json", "-o", "generated"},
			append(slices.Clone(strict), "--module", "commonjs", "--moduleResolution", "node10", "--outDir", "js", "hey.ts"),
			{"js/hey.js", g.URL, "dev-api-key"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out []byte
			for _, args := range steps {
				out = nodeIn(t, dir, args)
			}
			var got generated
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("got %s: %v", out, err)
			}
			want := map[string]any{"list": []any{1.0, "two"}, "deep": map[string]any{"on": true}}
			if got.Version != 1 || got.RequestID != "from-typescript" || got.Code != "not_found" || got.Ticket != "string" || got.Event != "resource.changed" || !equal(got.Nested, want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// workshop is a directory with the served document, the programs and the generators.
func workshop(t *testing.T, g *stack.Gateway) string {
	t.Helper()
	at, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string][]byte{
		"openapi.json": document(t, g), "package.json": []byte(`{"type":"module"}`), "js/package.json": []byte(`{"type":"commonjs"}`),
	}
	for _, name := range []string{"fetch.ts", "hey.ts"} {
		if files[name], err = os.ReadFile(filepath.Join("npm", "openapi", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "js"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(at, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// document is the one that a caller with every right is served.
func document(t *testing.T, g *stack.Gateway) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(raw), `"text/event-stream"`) {
		t.Fatalf("got %d, %d bytes, %v", resp.StatusCode, len(raw), err)
	}
	return raw
}
