package audit

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// BenchmarkLine is what the chain, the tree and the shared write add to a line: "bare" is
// the same record in one write(2) of its own, without them. Both are in one run.
func BenchmarkLine(b *testing.B) {
	rec := &op.Record{Request: &op.Request{Op: "kv.read", ID: "01kb3sxyz0000000000000000a", Caller: &call.Caller{Subject: "bot"}, Transport: op.REST}, Start: time.Now()}
	rec.Decision.ID, rec.Decision.Allow = "01kb3sxyz0000000000000000b", true
	b.Run("bare", func(b *testing.B) {
		l := Open(Config{Path: filepath.Join(b.TempDir(), "audit.jsonl")})
		f, err := os.OpenFile(l.cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		var line []byte
		b.ReportAllocs()
		for b.Loop() {
			if line, err = l.appendRecord(line[:0], "intent", rec); err != nil {
				b.Fatal(err)
			}
			line = append(line, '\n')
			if _, err := f.Write(line); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(line)), "bytes/line")
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	})
	for name, sign := range map[string]bool{"chained": false, "chained with tree": true} {
		b.Run(name, func(b *testing.B) {
			l := Open(Config{Path: filepath.Join(b.TempDir(), "audit.jsonl"), Sign: sign})
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Intent(rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
