package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/server"
)

// /readyz says why the newest policy is refused, with file and line, and that the one before
// serves; when the files are mended it says so.
func TestReadinessSaysWhyAPolicyIsRefused(t *testing.T) {
	e, put, _ := policyOf(t, "version: 2\n")
	first := e.Revision()
	put("version: 2\nobligations: {kv.raed: {deliver: masked}}\n")
	if err := e.Reload(t.Context()); err == nil {
		t.Fatal("a policy that names what is not there is taken")
	}
	part := server.PolicyPart(e)
	for _, want := range []string{first, "was refused", "data.yaml:2", "kv.raed"} {
		if !strings.Contains(part.Detail, want) || !part.OK {
			t.Errorf("no %q in %+v", want, part)
		}
	}
	put("version: 2\nobligations: {kv.read: {deliver: masked}}\n")
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if part := server.PolicyPart(e); strings.Contains(part.Detail, "refused") || !strings.Contains(part.Detail, e.Revision()) {
		t.Errorf("mended: %+v", part)
	}
}

// /readyz says what a change of the policy took away, and that one which took everything
// was refused.
func TestReadinessSaysWhatAPolicyLost(t *testing.T) {
	e, put, dir := policyOf(t, "version: 2\nobligations: {kv.read: {deliver: masked}, kv.subkeys: {deliver: masked}}\n")
	put("version: 2\nobligations: {kv.read: {deliver: masked}}\n")
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if part := server.PolicyPart(e); !part.OK || !strings.Contains(part.Detail, "obligation kv.subkeys deliver masked") {
		t.Errorf("what is gone is not named: %+v", part)
	}
	serving := e.Revision()
	if err := os.Remove(filepath.Join(dir, "data.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(t.Context()); err == nil {
		t.Fatal("a policy without anything is taken")
	}
	part := server.PolicyPart(e)
	for _, want := range []string{serving, "was refused", "neither a rule nor data", "volume"} {
		if !strings.Contains(part.Detail, want) {
			t.Errorf("no %q in %+v", want, part)
		}
	}
}

// policyOf serves a policy of data alone, which put replaces.
func policyOf(t *testing.T, text string) (e *policy.Engine, put func(text string), dir string) {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	put = func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(text)
	if e, err = policy.Open(policy.Config{Dir: dir, Catalogue: cat, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, put, dir
}
