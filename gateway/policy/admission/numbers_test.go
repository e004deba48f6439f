package admission_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// Numbers and names in the data that nobody means are told of, with what was meant.
func TestDataThatNobodyMeans(t *testing.T) {
	for text, want := range map[string]string{
		"grants: {subjects: {a: {ssh: {ca: {max_ttl_s: 0755}}}}}":                                                                          "base 8",
		"tiers: {gold: {requests: 010, window_s: 60}}":                                                                                     "base 8",
		"grants: {roles: {a: {kv: {shared: {expires_s: 1766188800000}}}}}":                                                                 "milliseconds",
		"grants: {roles: {a: {kv: {shared: {expires_s: 20261201}}}}}":                                                                      "ended in 1970",
		"tenants: {acme: {subjects: {a: {transit: {k: {expires_s: 1766188800000}}}}}}":                                                     "milliseconds",
		"tiers: {gold: {requests: 5, window_s: 60, cost: {db.issue_creds: 0}}}":                                                            "free",
		"tiers: {gold: {requests: 5, window_s: 60, cost: {db.issue_creds: 6}}}":                                                            "never be called",
		"tiers: {gold: {requests: 50, window_s: 60, burst: 5, cost: {ssh.otp: 9}}}":                                                        "never be called",
		"tenants: {acme: {subjects: {\"a b\": {kv: {x: {}}}}}}":                                                                            "no caller",
		"grants: {subjects: {\"../a\": {kv: {x: {}}}}}":                                                                                    "no caller",
		"grants: {roles: {a: {kv: {x: {approval: {group: sec}}}}}}":                                                                        "approval",
		"obligations: {db.issue_creds: {approval: {group: sec}}}":                                                                          "approval",
		"obligations: {db.issue_creds: {min_ttl_s: 600, max_ttl_s: 60}}":                                                                   "no call is allowed",
		"grants: {subjects: {a: {db: {r: {min_ttl_s: 600}}}}}\nobligations: {db.issue_creds: {max_ttl_s: 60}}":                             "no such call is allowed",
		"grants: {roles: {a: {db: {r: {ops: [db.issue_creds], max_ttl_s: 60}}}}}\nobligations: {db.issue_creds: {min_ttl_s: 600}}":         "no such call is allowed",
		"grants: {roles: {a: {kv: {x: {min_wrap_ttl_s: 600}}}}}\nobligations: {kv.read: {deliver: wrapped, wrap_ttl_s: 60}}":               "obligations.kv.read",
		"grants: {roles: {a: {db: {r: {ops: [db.renew], min_ttl_s: 600}}}}}\nobligations: {db.issue_creds: {max_ttl_s: 60}}":               "",
		"grants: {roles: {a: {db: {r: {min_ttl_s: 60, max_ttl_s: 900}}}}}\nobligations: {db.issue_creds: {min_ttl_s: 30, max_ttl_s: 600}}": "",
		"grants: {subjects: {a: {tier: Gold}}}\ntiers: {gold: {requests: 9, window_s: 60, burst: 9}}":                                      "Gold",
		"grants: {subjects: {a: {kv: {secret/data/x/: {}}}}}":                                                                              "no call can have",
		"teams: {t: {owns: {}}}":                                                        "owns nothing",
		"teams: {t: {owns: {kv: []}}}":                                                  "owns nothing",
		"teams: {t: {owns: {kv: [\"mcp/cards/*\"]}}}":                                   "without wildcards",
		"teams: {t: {owns: {kv: [\"mcp/+/cards\"]}}}":                                   "without wildcards",
		"version: 2\ngrants: {roles: {a: {kv: {\"x/{claims.team}-{principal}\": {}}}}}": "two templates in one segment",
		"version: 2\ngrants: {roles: {a: {kv: {\"x/{claims.team}/{principal}\": {}}}}}": "",
		"version: \"2\"": "version is \"2\"",
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
		if !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("%s: got %q, want %q", text, said, want)
		}
	}
}

// What may be meant is warned of, and used all the same.
func TestDataThatIsWarnedOf(t *testing.T) {
	text := `version: 2
grants:
  subjects:
    a: {kv: {"kv2:shared/x": {}, "kv2:shared/y": {}, "secret:shared": {}, "shared/a:b": {}}}
teams:
  t: {owns: {kv: [secret/mcp/cards, "kv3:cards"]}}
tiers: {gold: {requests: 0, window_s: 60}}
tenants: {acme: {roles: {"*": {tier: standard}}}}
`
	found := warnings(t, text)
	for want, line := range map[string]int{
		"kv has no mount kv2": 4, `"secret:shared", and kv has one mount`: 4, "kv has no mount kv3": 6,
		"paths have not the mount secret in them": 6, "no rules are in policy.deny.t": 6, "lets nothing through": 7, "not every role": 8,
	} {
		if n := countOf(found, want, line); n != 1 {
			t.Errorf("%q is said %d times of line %d: %v", want, n, line, found)
		}
	}
	if n := countOf(found, "shared/a:b", 4); n > 0 {
		t.Errorf("a colon further behind is taken for that of a mount: %v", found)
	}
}

// warnings are the findings of data that are taken.
func warnings(t *testing.T, text string) program.Findings {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := run(t.Context(), b)
	if err != nil || r.Findings.Err() != nil {
		t.Fatal(text, err, r.Findings)
	}
	return r.Findings
}

func countOf(found program.Findings, text string, line int) (n int) {
	for _, f := range found {
		if f.Warning && f.Line == line && strings.Contains(f.Msg, text) {
			n++
		}
	}
	return n
}

// A bound of a life where nothing that ends is made is warned of.
func TestBoundsOfWhatNeverEnds(t *testing.T) {
	for text, want := range map[string]bool{
		"grants: {subjects: {a: {kv: {x: {max_ttl_s: 60}}}}}":                               true,
		"grants: {roles: {a: {transit: {k: {ops: [transit.sign], min_ttl_s: 60}}}}}":        true,
		"grants: {roles: {a: {db: {r: {ops: [db.static_creds], max_ttl_s: 60}}}}}":          true,
		"obligations: {kv.read: {max_ttl_s: 60}}":                                           true,
		"obligations: {kv.read: {deliver: wrapped, wrap_ttl_s: 60}}":                        false,
		"grants: {roles: {a: {db: {r: {max_ttl_s: 60}}}}}":                                  false,
		"grants: {roles: {a: {db: {r: {ops: [db.static_creds, db.renew], max_ttl_s: 9}}}}}": false,
		"obligations: {ssh.sign: {max_ttl_s: 60}}":                                          false,
	} {
		found := warnings(t, text)
		if got := countOf(found, "makes nothing that ends", 1) > 0; got != want {
			t.Errorf("%s: warned %v, want %v: %v", text, got, want, found)
		}
	}
}
