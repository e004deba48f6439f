package changes_test

import (
	"context"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// FuzzAuditRecords: whatever stands in Vault's audit records, in whatever parts they come, an
// event has a clean path on the mount, and nothing ends the reading.
func FuzzAuditRecords(f *testing.F) {
	f.Add([]byte(`{"type":"response","request":{"operation":"update","path":"secret/data/a"},"response":{"data":{"version":1}}}`+"\n"), 7)
	f.Add([]byte(`{"type":"response","request":{"operation":"delete","path":"secret/metadata/a/../b"}}`+"\n\n{"), 1)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		log := events.New(events.Config{Size: 8, Queue: 4, Allow: func(_ context.Context, _ *call.Caller, e events.Event) bool {
			if _, err := call.ParsePath(e.Path.String()); err != nil || e.Mount != "secret" {
				t.Errorf("got an event for %s %q", e.Mount, e.Path)
			}
			return true
		}})
		w := changes.NewAuditRecords(changes.NewDeduper(log), "secret", "").NewStream()
		size = max(1, min(size, 64))
		for len(text) > 0 {
			n, err := w.Write(text[:min(size, len(text))])
			if err != nil || n == 0 {
				t.Fatalf("wrote %d, %v", n, err)
			}
			text = text[n:]
		}
	})
}
