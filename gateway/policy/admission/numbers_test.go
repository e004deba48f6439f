package admission_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// Numbers and names in the data that nobody means are told of, with what was meant.
func TestDataThatNobodyMeans(t *testing.T) {
	for text, want := range map[string]string{
		"grants: {subjects: {a: {ssh: {ca: {max_ttl_s: 0755}}}}}":                                     "base 8",
		"tiers: {gold: {requests: 010, window_s: 60}}":                                                "base 8",
		"grants: {roles: {a: {kv: {shared: {expires_s: 1766188800000}}}}}":                            "milliseconds",
		"grants: {roles: {a: {kv: {shared: {expires_s: 20261201}}}}}":                                 "ended in 1970",
		"tenants: {acme: {subjects: {a: {transit: {k: {expires_s: 1766188800000}}}}}}":                "milliseconds",
		"tiers: {gold: {requests: 5, window_s: 60, cost: {db.issue_creds: 0}}}":                       "free",
		"tiers: {gold: {requests: 5, window_s: 60, cost: {db.issue_creds: 6}}}":                       "never be called",
		"tiers: {gold: {requests: 50, window_s: 60, burst: 5, cost: {ssh.otp: 9}}}":                   "never be called",
		"tenants: {acme: {subjects: {\"a b\": {kv: {x: {}}}}}}":                                       "no caller",
		"grants: {subjects: {\"../a\": {kv: {x: {}}}}}":                                               "no caller",
		"grants: {roles: {a: {kv: {x: {approval: {group: sec}}}}}}":                                   "approval",
		"obligations: {db.issue_creds: {approval: {group: sec}}}":                                     "approval",
		"obligations: {db.issue_creds: {min_ttl_s: 600, max_ttl_s: 60}}":                              "no call is allowed",
		"grants: {subjects: {a: {tier: Gold}}}\ntiers: {gold: {requests: 9, window_s: 60, burst: 9}}": "Gold",
		"grants: {subjects: {a: {kv: {secret/data/x/: {}}}}}":                                         "no call can have",
		"teams: {t: {owns: {}}}":                      "owns nothing",
		"teams: {t: {owns: {kv: []}}}":                "owns nothing",
		"teams: {t: {owns: {kv: [\"mcp/cards/*\"]}}}": "without wildcards",
		"teams: {t: {owns: {kv: [\"mcp/+/cards\"]}}}": "without wildcards",
		"version: \"2\"":                              "version is \"2\"",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Read(dir, nil)
		var said string
		if err != nil {
			said = err.Error()
		} else {
			r, err := run(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			if said = r.Findings.Error(); r.Findings.Err() == nil {
				said = ""
			}
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: got %q, want %q", text, said, want)
		}
	}
}
