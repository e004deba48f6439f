package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/e2e"
	"portcullis/gateway/server"
)

// holdData grants agents the role, and those of some people.
const holdData = `
version: 2
grants:
  subjects:
    agent: {db: {readonly: {}, reports: {}}}
    narrow: {db: {reports: {}}}
    alice: {db: {readonly: {}}}
    bob: {kv: {shared: {}}}
`

// TestALeaseNeedsBothOfAPair: what an agent holds for a person it holds as long as the policy
// would issue it to either, and neither was revoked. That the person's token has ended, and
// which scopes it had, does not matter: the lease outlives it.
func TestALeaseNeedsBothOfAPair(t *testing.T) {
	dir := t.TempDir()
	deny := filepath.Join(dir, "deny")
	for path, text := range map[string]string{filepath.Join(dir, "data.yaml"): holdData, deny: ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"LOG_DIR": t.TempDir(), "POLICY_DIR": dir, "POLICY_TIMEOUT": "5s", "DENY_LIST_FILE": deny, "VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "none",
		"API_KEYS_JSON": `{"key-of-agent":"agent","key-of-narrow":"narrow"}`, "JWT_HS256_SECRET": "signs-the-tokens-of-people-0123456789abcdef",
	} {
		t.Setenv(name, value)
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := server.New(t.Context(), c, server.Options{Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close(t.Context()) })
	agent := func(subject, behalf string) *call.Caller {
		one := &call.Caller{Subject: subject, KeyID: subject, Method: call.APIKey, Kind: "agent"}
		if behalf != "" {
			one.Behalf = &call.Caller{Subject: behalf, Method: call.JWT, Kind: "human", TokenID: "of-" + behalf, Expires: time.Now().Add(-time.Hour)}
		}
		return one
	}
	for name, tc := range map[string]struct {
		who  *call.Caller
		role string
		may  bool
	}{
		"the agent alone":             {agent("agent", ""), "readonly", true},
		"both":                        {agent("agent", "alice"), "readonly", true},
		"a person without the role":   {agent("agent", "bob"), "readonly", false},
		"a person without any":        {agent("agent", "carol"), "readonly", false},
		"an agent without the role":   {agent("narrow", "alice"), "readonly", false},
		"the agent's role alone":      {agent("agent", "alice"), "reports", false},
		"a role that nobody may have": {agent("agent", "alice"), "none", false},
	} {
		if may := g.MayHold(t.Context(), tc.who, "database/creds/"+tc.role+"/x", tc.role); may != tc.may {
			t.Errorf("%s: may hold it: %v, want %v", name, may, tc.may)
		}
	}
	pair := agent("agent", "alice")
	for _, line := range []string{`{"subject":"alice"}`, `{"token_id":"of-alice"}`, `{"subject":"agent"}`, `{"key_id":"agent"}`, ""} {
		if err := os.WriteFile(deny, fmt.Appendln(nil, line), 0o600); err != nil {
			t.Fatal(err)
		}
		e2e.Eventually(t, "the pair with the deny list "+line, func() bool { return g.Revoked(pair) == (line != "") })
	}
}
