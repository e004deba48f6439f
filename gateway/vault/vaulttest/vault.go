// Package vaulttest starts a real dev Vault for tests, breaks the way to it, and
// reads what it has recorded.
package vaulttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e/stack"
)

// Vault is a dev Vault that ends with the test.
type Vault struct {
	*stack.Vault
	t testing.TB
}

// Start starts a dev Vault. Further arguments are those of devvault --help.
func Start(t testing.TB, args ...string) *Vault {
	t.Helper()
	root, err := stack.Root()
	if err == nil {
		if _, serr := os.Stat(filepath.Join(root, "bin", "devvault")); serr != nil {
			root, err = stack.Build(t.Context())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	// The process ends in Cleanup, not with the test's context, so that what is
	// closed in other cleanups still finds it.
	v, err := stack.StartVault(context.WithoutCancel(t.Context()), root, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Kill() })
	return &Vault{v, t}
}

// Do sends a request with a token and decodes the reply into out, which may be
// nil. It returns the status.
func (v *Vault) Do(token, method, path string, body, out any) int {
	v.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	if body == nil {
		raw = nil
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(v.t.Context()), method, v.Addr+"/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if out != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(text, out); err != nil {
			v.t.Fatalf("decode %s: %v", path, err)
		}
	}
	return resp.StatusCode
}

// Write writes with the root token and fails the test when Vault refuses.
func (v *Vault) Write(path string, body any) {
	v.t.Helper()
	if status := v.Do(v.Token, http.MethodPut, path, body, nil); status >= 300 {
		v.t.Fatalf("write %s: status %d", path, status)
	}
}

// Entry is a request as Vault's audit device recorded it. Tokens and values are
// HMACs there.
type Entry struct {
	Type    string `json:"type"` // request or response
	Error   string `json:"error"`
	Request struct {
		ID        string              `json:"id"`
		Operation string              `json:"operation"`
		Path      string              `json:"path"`
		Headers   map[string][]string `json:"headers"`
	} `json:"request"`
	Auth struct {
		DisplayName string            `json:"display_name"`
		Policies    []string          `json:"policies"`
		TokenType   string            `json:"token_type"`
		Metadata    map[string]string `json:"metadata"`
	} `json:"auth"`
}

// Audit reads Vault's audit file.
func (v *Vault) Audit() []Entry {
	v.t.Helper()
	f, err := os.Open(v.AuditFile)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var entries []Entry
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil { // the last line may be half written
			entries = append(entries, e)
		}
	}
	if err := lines.Err(); err != nil {
		v.t.Fatal(err)
	}
	return entries
}

// Count is how many requests for a path reached Vault.
func (v *Vault) Count(path string) (n int) {
	v.t.Helper()
	for _, e := range v.Audit() {
		if e.Type == "request" && e.Request.Path == path {
			n++
		}
	}
	return n
}

// Wrap posts with the root token and lets Vault wrap its answer.
func (v *Vault) Wrap(path, body string, out any) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.Addr+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.Token)
	req.Header.Set("X-Vault-Wrap-TTL", "300s")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		v.t.Fatalf("wrap %s: %v", path, err)
	}
}
