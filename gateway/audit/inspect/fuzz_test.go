package inspect_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/audit/tree"
)

// FuzzReadEvidence: whatever a file holds, the tools end, and what people are shown has a
// line for each record and no character that a terminal acts on.
func FuzzReadEvidence(f *testing.F) {
	good := chain(4)
	f.Add(bytes.Join(good, []byte("\n")))
	f.Add([]byte(`{"seq":1,"prev":"x","type":"torn","bytes":-1}` + "\n{\"seq\":1,\"seq\":2}\n\x00\x1b[2J\n"))
	f.Add([]byte(lines(1, time.Unix(0, 0), "a\x1b", "kv.read", "secret/a\u202e", `"code":"ok","version":-3,"expires":"0000-00-00T00:00:00Z"`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		name := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		var v inspect.Verifier
		if err := errors.Join(v.File(name), v.End()); err == nil && v.Lines > 0 && v.Last-v.First+1 != uint64(v.Lines) {
			t.Errorf("%d lines are good, with numbers %d to %d", v.Lines, v.First, v.Last)
		}
		var out bytes.Buffer
		files := inspect.Files{Names: []string{name}}
		n, err := inspect.Query(&out, files, inspect.Filter{}, false)
		if err != nil || n > 0 && strings.Count(out.String(), "\n") < n+1 || strings.ContainsAny(out.String(), "\x1b\r\x00\u009b\u202e\u2028") {
			t.Errorf("%d records, %v: %q", n, err, &out)
		}
		x, err := inspect.Exposure(files, "secret/a@1", time.Unix(0, 0))
		if _, ok := errors.AsType[inspect.Usage](err); ok || err == nil { // no record names it, or some do
			err = x.Write(&out, false)
		}
		if err == nil {
			err = inspect.Tail{File: name, Last: 3}.Run(t.Context(), &out)
		}
		if err != nil || strings.ContainsAny(out.String(), "\x1b\r\x00\u009b\u202e\u2028") {
			t.Errorf("%v: %q", err, &out)
		}
		_ = inspect.Prove(&out, []string{name}, "1")
	})
}

// FuzzCheckpointsAndProofs: nothing that somebody has not signed is a checkpoint or proves
// a line.
func FuzzCheckpointsAndProofs(f *testing.F) {
	f.Add([]byte("portcullis-audit\n1\nAAAA\nline 1 00\ntime 2026-01-01T00:00:00Z\n\n— portcullis-audit AAAA\n"))
	f.Add([]byte(`{"checkpoint":"x","hashes":"AAAA","lines":[{"line":{"a":1},"leaf":-1,"path":[9]}]}`))
	private := filepath.Join(f.TempDir(), "audit.key")
	if _, err := tree.LoadKey(private); err != nil {
		f.Fatal(err)
	}
	public, err := tree.PublicOf(private)
	if err != nil {
		f.Fatal(err)
	}
	key := filepath.Join(f.TempDir(), "audit.pub")
	if err := os.WriteFile(key, []byte(public), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := tree.Public([]byte(public))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.OpenCheckpoint(raw, v); err == nil {
			t.Error("a checkpoint that nobody has signed")
		}
		_, _ = tree.ParseCheckpoint(raw)
		_, _ = tree.Public(raw)
		name := filepath.Join(t.TempDir(), "proof.json")
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := inspect.VerifyProof(&bytes.Buffer{}, name, key); err == nil {
			t.Error("a proof that nobody has signed")
		}
	})
}
