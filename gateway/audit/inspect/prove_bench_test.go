package inspect_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

var provedLines = flag.Int("proved-lines", 20_000, "lines in the file of BenchmarkProof")

// BenchmarkProof is the time of one proof in a signed file: to make it by a number, by the
// id of a decision, and to verify it.
func BenchmarkProof(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := audit.Open(audit.Config{Path: file, Sign: true})
	var decision string
	for n := range *provedLines / 2 {
		r := &op.Record{Request: &op.Request{ID: "r", Op: "kv.read", Transport: op.REST, Caller: &call.Caller{Subject: "bot"}}}
		r.Decision.ID = ulid(time.Now()) + fmt.Sprintf("%016d", n)
		if n == *provedLines/4 {
			decision = r.Decision.ID
		}
		if err := l.Intent(r); err != nil {
			b.Fatal(err)
		}
		if err := l.Outcome(r); err != nil {
			b.Fatal(err)
		}
		if n%10_000 == 0 { // as while it runs: more tiles than wait for one are not written
			if err := l.Checkpoint(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for _, of := range []struct{ name, id string }{
		{"first line", "1"}, {"line in the middle", fmt.Sprint(*provedLines / 2)}, {"newest line", fmt.Sprint(*provedLines)}, {"decision", decision},
	} {
		b.Run("prove/"+of.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := inspect.Prove(io.Discard, []string{file}, of.id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	var proof bytes.Buffer
	if err := inspect.Prove(&proof, []string{file}, decision); err != nil {
		b.Fatal(err)
	}
	name := filepath.Join(dir, "proof.json")
	if err := os.WriteFile(name, proof.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := inspect.VerifyProof(io.Discard, name, audit.Beside(file, "public")); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(proof.Len()), "bytes/proof")
	})
}
