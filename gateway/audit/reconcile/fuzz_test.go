package reconcile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/audit/reconcile"
)

// FuzzReconcile: a request of the gateway's token that is on record nowhere is found,
// whatever other lines Vault's log has.
func FuzzReconcile(f *testing.F) {
	f.Add([]byte("{}\n\x00\n" + request("r9", "d1", "")))
	f.Add([]byte(`{"type":"request","request":{"id":"r2","headers":{"x-correlation-id":[]}},"time":"x"}`))
	f.Fuzz(func(t *testing.T, noise []byte) {
		name := filepath.Join(t.TempDir(), "vault.log")
		text := strings.Join([]string{request("r1", "d1", ""), request("r-planted", "", ""), string(noise), ""}, "\n")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := reconcile.Run(reconcile.Config{Files: []string{evidence(t)}, VaultAudit: []string{name}})
		var out bytes.Buffer
		if err != nil || r.Write(&out, false) != nil || !r.Differ() || strings.ContainsAny(out.String(), "\x1b\r\x00\u009b\u202e") {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}
