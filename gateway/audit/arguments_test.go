package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/ops/opstest"
	"portcullis/gateway/transform/native"
)

// argsOf is what the evidence keeps of the arguments of a real operation.
func argsOf(t *testing.T, name, args string) (line string, kept map[string]any) {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	req := &op.Request{ID: "r1", Transport: op.REST, Op: name, Args: []byte(args), Caller: &call.Caller{Subject: "bot"}}
	b, err := cat.Bind(req)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, audit.Config{Path: path, Redact: native.New().AppendValue})
	if err := l.Intent(&op.Record{Request: req, Bound: b}); err != nil {
		t.Fatal(err)
	}
	got := lines(t, path)
	kept, ok := got[0]["args"].(map[string]any)
	if !ok || len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	raw, err := json.Marshal(got[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), kept
}

// TestNamesStayInEvidence: a name that looks like a secret is a name all the same.
func TestNamesStayInEvidence(t *testing.T) {
	for _, path := range []string{
		"-----BEGIN PRIVATE KEY-----", `q"token":{/x`, "token=hidden/really", "AKIAIOSFODNN7EXAMPLE", "hvs.CAESIJ4example0example0example", "a: b/Authorization=Bearer x",
	} {
		raw, err := json.Marshal(map[string]any{"path": path, "data": map[string]string{"k": "canary"}})
		if err != nil {
			t.Fatal(err)
		}
		line, kept := argsOf(t, "kv.write", string(raw))
		if kept["path"] != path || strings.Contains(line, "canary") {
			t.Errorf("%q: got %s", path, line)
		}
	}
}

// TestTextsInEvidenceAreRedacted: each text by itself, so nothing around it goes.
func TestTextsInEvidenceAreRedacted(t *testing.T) {
	line, kept := argsOf(t, "ssh.sign", `{"role":"ca","public_key":"`+opstest.PublicKey+`","extensions":{"permit-pty":"","login@example.com":"hvs.CAESIJ4example0example0example","x-password":"hunter2"}}`)
	extensions, _ := kept["extensions"].(map[string]any)
	if extensions["login@example.com"] != "[redacted]" || extensions["x-password"] != "[redacted]" || extensions["permit-pty"] != "" || kept["role"] != "ca" {
		t.Errorf("got %s", line)
	}
	line, kept = argsOf(t, "transit.verify", `{"key":"mcp","input":"eA==","signature":"before hvs.CAESIJ4example0example0example, after"}`)
	if kept["signature"] != "before [redacted], after" {
		t.Errorf("got %s", line)
	}
}

// TestTextsOfAnyFormAreRedacted: also in an argument that no type describes.
func TestTextsOfAnyFormAreRedacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, audit.Config{Path: path, Redact: native.New().AppendValue})
	if err := l.Intent(record(t, `{"path":"a","note":{"q\"token\":{":"token=abc&b","list":[1,{"password":"hunter2"},null]}}`)); err != nil {
		t.Fatal(err)
	}
	args, _ := lines(t, path)[0]["args"].(map[string]any)
	if raw, err := json.Marshal(args["note"]); err != nil || string(raw) != `{"list":[1,{"password":"[redacted]"},null],"q\"token\":{":"token=[redacted]\u0026b"}` {
		t.Errorf("got %s", raw)
	}
}

// TestLongArgumentsAreCut: of a long one, evidence keeps how it begins, its length
// and its hash.
func TestLongArgumentsAreCut(t *testing.T) {
	long := strings.Repeat("_", 60_000)
	line, kept := argsOf(t, "transit.verify", `{"key":"mcp","input":"eA==","signature":"`+long+`"}`)
	sum := sha256.Sum256([]byte(long))
	cut, _ := kept["signature"].(map[string]any)
	if cut["bytes"] != 60_000.0 || cut["sha256"] != hex.EncodeToString(sum[:]) || !strings.HasPrefix(long, cut["prefix"].(string)) || len(line) > 3000 {
		t.Errorf("got %s", line)
	}
	many := map[string]string{}
	for i := range 500 {
		many[fmt.Sprintf("extension-%d", i)] = "x"
	}
	raw, err := json.Marshal(map[string]any{"role": "ca", "public_key": opstest.PublicKey, "extensions": many})
	if err != nil {
		t.Fatal(err)
	}
	line, kept = argsOf(t, "ssh.sign", string(raw))
	if cut, _ = kept["extensions"].(map[string]any); cut["bytes"] == nil || cut["sha256"] == nil || len(line) > 4000 {
		t.Errorf("got %s", line)
	}
	odd := strings.Repeat("\u0001é\"\\", 5000)
	raw, err = json.Marshal(map[string]string{"key": "mcp", "input": "eA==", "signature": odd})
	if err != nil {
		t.Fatal(err)
	}
	if line, _ = argsOf(t, "transit.verify", string(raw)); len(line) > 4000 {
		t.Errorf("got %d bytes: %s", len(line), line)
	}
}

// TestAFilterCannotSpeakForSomebodyElse: an operator's module may change values; a
// record whose names it changes stays as it was.
func TestAFilterCannotSpeakForSomebodyElse(t *testing.T) {
	for name, c := range map[string]struct {
		from, to string
		kept     bool
	}{
		"value":     {`"data":"[redacted]"`, `"data":"***"`, true},
		"path":      {`"path":"a/b","args"`, `"path":"c","args"`, false},
		"subject":   {`"subject":"bot"`, `"subject":"other"`, false},
		"chain":     {`"type":`, `"seq":7,"type":`, false},
		"not JSON":  {`"op":`, `"op"`, false},
		"two lines": {`"op":`, "\"op\":\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			l := open(t, audit.Config{Path: path, Filter: func(dst, line []byte) []byte {
				return append(dst, strings.Replace(string(line), c.from, c.to, 1)...)
			}})
			if err := l.Intent(record(t, `{"path":"a/b","data":"x"}`)); err != nil {
				t.Fatal(err)
			}
			got := lines(t, path)
			if len(got) != 1 || got[0]["path"] != "a/b" || got[0]["subject"] != "bot" || got[0]["seq"] != 1.0 || (got[0]["redactor"] == nil) != c.kept {
				t.Errorf("got %v", got)
			}
		})
	}
}
