package policy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
)

// What the data grant by name is found for the caller and its roles, and for
// nobody of the same name elsewhere.
func TestGranted(t *testing.T) {
	dir := t.TempDir()
	data := `
grants:
  subjects:
    agent:
      transit: {mcp: {}, signing: {ops: [transit.sign]}, old: {expires_s: 1000000000}, none: {ops: []}}
  roles:
    reporter:
      db: {readonly: {}}
tenants:
  acme:
    subjects:
      agent:
        transit: {acme: {}}
`
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.Open(policy.Config{Dir: dir, Catalogue: c})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		caller call.Caller
		want   string
	}{
		"subject":  {call.Caller{Subject: "agent"}, "transit/mcp transit/signing"},
		"and role": {call.Caller{Subject: "agent", Roles: []string{"reporter"}}, "db/readonly transit/mcp transit/signing"},
		"tenant":   {call.Caller{Subject: "agent", Tenant: "acme", Roles: []string{"reporter"}}, "transit/acme"},
		"nobody":   {call.Caller{Subject: "other"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, n := range e.Granted(&tt.caller, time.Unix(1_000_000_100, 0)) {
				got = append(got, n.Engine+"/"+n.Name)
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}
