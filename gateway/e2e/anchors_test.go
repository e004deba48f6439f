package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// keptInVault reads the anchor with the root token.
func keptInVault(t *testing.T, v *stack.Vault) (checkpoint, sum string, version int) {
	t.Helper()
	var reply struct {
		Data struct {
			Data     map[string]string `json:"data"`
			Metadata struct {
				Version int `json:"version"`
			} `json:"metadata"`
		} `json:"data"`
	}
	asVault(t, v, v.Token, "GET", "secret/data/portcullis/anchor", "", "", &reply)
	return reply.Data.Data["checkpoint"], reply.Data.Data["sha256"], reply.Data.Metadata.Version
}

// TestVaultIsAWitnessOfTheEvidence: checkpoints are written to Vault with CAS, Vault's own
// audit log has their digests in clear, callers cannot reach them, and a tail that was
// cut off is found with the one that Vault holds.
func TestVaultIsAWitnessOfTheEvidence(t *testing.T) {
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "AUDIT_ANCHORS=vault:secret/portcullis/anchor", "AUDIT_ANCHOR_INTERVAL=1s")
	e2e.Do(t, "PUT", g.URL+"/secrets/app", `{"data":{"k":"v"}}`)
	var checkpoint, sum string
	e2e.Eventually(t, "two anchors", func() bool {
		e2e.Do(t, "GET", g.URL+"/secrets/app", "")
		var version int
		checkpoint, sum, version = keptInVault(t, v)
		return version >= 2
	})
	if resp, raw := e2e.Do(t, "GET", g.URL+"/kv/secret/portcullis/anchor", ""); resp.StatusCode < 400 || strings.Contains(string(raw), "checkpoint") {
		t.Errorf("a caller reads the anchor: %d %s", resp.StatusCode, raw)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	audit, err := os.ReadFile(v.AuditFile)
	if err != nil || !strings.Contains(string(audit), `"anchor-`+sum+`"`) {
		t.Errorf("Vault's audit log lacks the digest %s: %v", sum, err)
	}
	dir := t.TempDir()
	kept, key := filepath.Join(dir, "kept"), filepath.Join(dir, "audit.pub")
	public, _ := portcullis(t, nil, "audit", "key", g.AuditFile())
	for name, text := range map[string]string{kept: checkpoint, key: public} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := portcullis(t, nil, "audit", "verify", g.AuditFile(), "--since", kept, "--key", key); code != 0 {
		t.Errorf("the evidence as it is: exit code %d: %s", code, out)
	}
	n := 0
	cut := edited(t, g.AuditFile(), func(l string) string {
		if n++; n > 3 {
			return ""
		}
		return l
	})
	if out, code := portcullis(t, nil, "audit", "verify", cut, "--since", kept, "--key", key); code != 1 || !strings.Contains(out, "cut off") {
		t.Errorf("the evidence without its end: exit code %d: %s", code, out)
	}
	if r := runReconcile(t, g.AuditFile(), v.AuditFile); len(r.UnknownToVault)+len(r.OutcomeDiffers) > 0 {
		raw, _ := json.Marshal(r) // a test's own values
		t.Errorf("the anchors are not on record: %s", raw)
	}
}

// TestOtherSystemsKeepTheCheckpoint: an HTTPS receiver and a syslog server get checkpoints,
// at the end that of the last line, and with it a tail that was cut off is found.
func TestOtherSystemsKeepTheCheckpoint(t *testing.T) {
	v, r := e2e.StartVault(t), receive(t)
	urls, _ := strings.CutPrefix(r.env[0], "AUDIT_SINKS=")
	to := strings.Split(urls, ",")
	env := append([]string{"AUDIT_ANCHORS=" + to[0] + "," + to[1], "AUDIT_ANCHOR_INTERVAL=1s"}, r.env[1:4]...)
	g := e2e.StartGateway(t, v, env...)
	for range 3 {
		e2e.Do(t, "GET", g.URL+"/secrets/app", "")
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	beside, err := os.ReadFile(filepath.Join(g.LogDir, "audit.checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Type, Checkpoint, SHA256 string }
	for name, form := range map[string]*regexp.Regexp{"https": regexp.MustCompile(`(?m)^(\{.*\})$`), "syslog": regexp.MustCompile(` checkpoint - (\{"checkpoint".*?\})(?:[0-9]+ <|$)`)} {
		last := ""
		e2e.Eventually(t, "the last checkpoint over "+name, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.text[name] == nil {
				return false
			}
			for _, m := range form.FindAllStringSubmatch(r.text[name].String(), -1) {
				last = m[1]
			}
			return json.Unmarshal([]byte(last), &kept) == nil && kept.Checkpoint == string(beside)
		})
	}
	dir := t.TempDir()
	file, key := filepath.Join(dir, "kept"), filepath.Join(dir, "audit.pub")
	public, _ := portcullis(t, nil, "audit", "key", g.AuditFile())
	for name, text := range map[string]string{file: kept.Checkpoint, key: public} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := portcullis(t, nil, "audit", "verify", g.AuditFile(), "--since", file, "--key", key); code != 0 {
		t.Errorf("the evidence as it is: exit code %d: %s", code, out)
	}
	whole := e2e.Lines(t, g.AuditFile())
	n := 0
	cut := edited(t, g.AuditFile(), func(l string) string {
		if n++; n == len(whole) {
			return ""
		}
		return l
	})
	if out, code := portcullis(t, nil, "audit", "verify", cut, "--since", file, "--key", key); code != 1 || !strings.Contains(out, "cut off") {
		t.Errorf("the evidence without its last line: exit code %d: %s", code, out)
	}
}
