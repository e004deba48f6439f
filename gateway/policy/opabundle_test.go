package policy_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"

	"portcullis/gateway/policy"
	"portcullis/gateway/policy/remote"
)

// opaBuild makes an archive as opa build -b DIR --revision R --signing-alg EdDSA
// --signing-key KEY --claims-file CLAIMS does: with OPA's own compiler, writer and signer
// (cmd/build.go of OPA is flags around them). An empty key signs nothing.
func opaBuild(t testing.TB, files map[string]string, revision, key string) []byte {
	t.Helper()
	dir, claims := team(t, files), filepath.Join(t.TempDir(), "claims.json")
	if err := os.WriteFile(claims, []byte(`{"keyid": "k1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := compile.New().WithPaths(dir).WithAsBundle(true).WithRevision(revision).WithOutput(&out)
	if key != "" {
		c = c.WithBundleSigningConfig(opabundle.NewSigningConfig(key, "EdDSA", claims))
	}
	if err := c.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// opaFiles is a directory as somebody keeps it who uses OPA.
func opaFiles(sequence int, role string) map[string]string {
	files := refuses("", `input.action.op == "kv.destroy"`, `{"action": {"engine": "kv", "op": "kv.destroy"}}`)
	delete(files, "data.yaml")
	files[".manifest"] = fmt.Sprintf(`{"roots": ["policy", "grants"], "metadata": {"sequence": %d}}`, sequence)
	files["data.json"] = fmt.Sprintf(`{"grants": {"subjects": {"agent_api": {"db": {%q: {}}}}}}`, role)
	return files
}

// fileServer is any HTTP server that has one file with an ETag.
type fileServer struct {
	mu        sync.Mutex // guards what follows
	file      []byte
	unchanged int
}

func (f *fileServer) put(raw []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.file = raw
}

func (f *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(f.file))
	if r.Header.Get("If-None-Match") == etag {
		f.unchanged++
	}
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "bundle.tar.gz", time.Time{}, bytes.NewReader(f.file))
}

// An archive that OPA's own tools have built and signed, at a plain HTTP server, becomes
// active and rolls forward, and is not taken back.
func TestArchivesOfOPAsOwnTools(t *testing.T) {
	key, keys := pair(t)
	files := &fileServer{}
	files.put(opaBuild(t, opaFiles(1, "readonly"), "first", key))
	srv := httptest.NewServer(files)
	defer srv.Close()
	e := open(t, policy.Config{Remote: remote.Config{URL: srv.URL + "/bundle.tar.gz", Keys: keys}})
	allowed := func(role string) bool {
		return e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"`+role+`"}`)).Allow
	}
	if !allowed("readonly") || allowed("reporting") {
		t.Error("the first archive does not decide")
	}
	if d := e.Decide(t.Context(), bind(t, agent(t), "kv.destroy", `{"path":"a","versions":[1]}`)); d.Allow {
		t.Error("its rule does not decide")
	}
	if err := e.Reload(t.Context()); err != nil || files.unchanged != 1 {
		t.Errorf("asked again: %v, %d answers that nothing has changed", err, files.unchanged)
	}
	files.put(opaBuild(t, opaFiles(2, "reporting"), "second", key))
	if err := e.Reload(t.Context()); err != nil || allowed("readonly") || !allowed("reporting") {
		t.Errorf("the second archive does not decide: %v", err)
	}
	other, _ := pair(t)
	for name, raw := range map[string][]byte{
		"below 2":   opaBuild(t, opaFiles(1, "readonly"), "first", key),
		"signature": opaBuild(t, opaFiles(3, "readonly"), "third", ""),
		"key k1":    opaBuild(t, opaFiles(3, "readonly"), "third", other),
	} {
		files.put(raw)
		if err := e.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), name) || allowed("readonly") || !allowed("reporting") {
			t.Errorf("%s: %v, readonly %v", name, err, allowed("readonly"))
		}
	}
	files.put(opaBuild(t, opaFiles(3, "readonly"), "third", key))
	if err := e.Reload(t.Context()); err != nil || !allowed("readonly") {
		t.Errorf("the third archive does not decide: %v", err)
	}
}
