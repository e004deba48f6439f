// Package vaulttest starts a real dev Vault for tests, breaks the way to it, and
// reads what it has recorded.
package vaulttest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
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

// Request is a request to Vault.
type Request struct {
	Method string // empty for GET
	Path   string // below /v1/
	Token  string // empty for the root token
	Body   any    // JSON-encodable, nil for none
	Wrap   bool   // Vault is to wrap its answer for five minutes
}

// Do sends a request and decodes the reply to one that succeeds into out, which
// may be nil. It returns the status.
func (v *Vault) Do(r Request, out any) int {
	v.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(v.request(r))
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
			v.t.Fatalf("decode %s: %v", r.Path, err)
		}
	}
	return resp.StatusCode
}

func (v *Vault) request(r Request) *http.Request {
	v.t.Helper()
	var body io.Reader
	if r.Body != nil {
		raw, err := json.Marshal(r.Body)
		if err != nil {
			v.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(v.t.Context()), cmp.Or(r.Method, http.MethodGet), v.Addr+"/v1/"+r.Path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", cmp.Or(r.Token, v.Token))
	if r.Wrap {
		req.Header.Set("X-Vault-Wrap-TTL", "300s")
	}
	return req
}

// Write writes with the root token and fails the test when Vault refuses.
func (v *Vault) Write(path string, body any) {
	v.t.Helper()
	if status := v.Do(Request{Method: http.MethodPut, Path: path, Body: body}, nil); status >= 300 {
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
