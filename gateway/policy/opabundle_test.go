package policy_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/version"

	"portcullis/gateway/policy"
	"portcullis/gateway/policy/remote"
)

// opa is OPA's own command, as make opa builds it; without it, its library is used, around
// which cmd/build.go and cmd/sign.go of OPA are flags.
var opa = flag.String("opa", "", "path of OPA's command; empty for its library")

// opaBuild makes an archive as opa build -b DIR does, which is also signed with a key that
// is not empty.
func opaBuild(t testing.TB, files map[string]string, revision, key string) []byte {
	t.Helper()
	dir, out := team(t, files), bytes.Buffer{}
	if *opa != "" {
		file := filepath.Join(t.TempDir(), "bundle.tar.gz")
		args := []string{"build", "-b", dir, "--revision", revision, "--output", file}
		if key != "" {
			args = append(args, signing(t, key)...)
		}
		command(t, "", nil, *opa, args...)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	c := compile.New().WithPaths(dir).WithAsBundle(true).WithRevision(revision).WithOutput(&out)
	if key != "" {
		c = c.WithBundleSigningConfig(opabundle.NewSigningConfig(key, "EdDSA", signing(t, key)[5]))
	}
	if err := c.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// opaSign makes an archive with opa build and signs with opa sign what is in it.
func opaSign(t testing.TB, files map[string]string, revision, key string) []byte {
	t.Helper()
	unsigned, how := opaBuild(t, files, revision, ""), signing(t, key)
	if *opa != "" {
		dir := t.TempDir()
		command(t, dir, unsigned, "tar", "xzf", "-")
		command(t, dir, nil, *opa, append([]string{"sign", "--bundle", "."}, how...)...)
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		pack := []string{"czf", "-"}
		for _, n := range names { // as . they would be called ./data.json, which opa sign does not sign
			pack = append(pack, n.Name())
		}
		return command(t, dir, nil, "tar", pack...)
	}
	b, err := opabundle.NewReader(bytes.NewReader(unsigned)).Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.GenerateSignature(opabundle.NewSigningConfig(key, "EdDSA", how[5]), "k1", false); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := opabundle.NewWriter(&out).UseModulePath(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// signing are the flags of both commands that name a key; the last is the file of claims.
func signing(t testing.TB, key string) []string {
	t.Helper()
	dir := t.TempDir()
	keyFile, claims := filepath.Join(dir, "key.pem"), filepath.Join(dir, "claims.json")
	for file, text := range map[string]string{keyFile: key, claims: `{"keyid": "k1"}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--signing-alg", "EdDSA", "--signing-key", keyFile, "--claims-file", claims}
}

// command runs a program in a directory and returns what it writes.
func command(t testing.TB, dir string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(stdin), &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, complaint.String())
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
	if *opa != "" && !bytes.Contains(command(t, "", nil, *opa, "version"), []byte("Version: "+version.Version+"\n")) {
		t.Errorf("OPA's command is of another version than its library, %s", version.Version)
	}
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
	files.put(opaSign(t, opaFiles(2, "reporting"), "second", key))
	if err := e.Reload(t.Context()); err != nil || allowed("readonly") || !allowed("reporting") {
		t.Errorf("the second archive does not decide: %v", err)
	}
	other, _ := pair(t)
	for name, raw := range map[string][]byte{
		"below 2":   opaBuild(t, opaFiles(1, "readonly"), "first", key),
		"signature": opaBuild(t, opaFiles(3, "readonly"), "third", ""),
		"key k1":    opaSign(t, opaFiles(3, "readonly"), "third", other),
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
