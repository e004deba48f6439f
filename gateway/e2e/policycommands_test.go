package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestPolicyCommands: the ways in which people name a policy, a question and a log.
func TestPolicyCommands(t *testing.T) {
	dir := t.TempDir()
	question := filepath.Join(dir, "call.json")
	if err := os.WriteFile(question, []byte(`{"v":1,"principal":{"id":"agent_api","scopes":["write"]},"action":{"op":"transit.hmac"},"resource":{"path":"mcp"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "decisions.jsonl")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fixtures, manifest := filepath.Join(e2e.Root(t), "fixtures"), filepath.Join(e2e.Root(t), "wasm", "manifest.yaml")
	dev, masked := filepath.Join(fixtures, "policy-dev"), filepath.Join(fixtures, "policy-masked")
	broken := filepath.Join(dir, "x.rego")
	if err := os.WriteFile(broken, []byte("hello {"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		dir  string // POLICY_DIR
		code int
		want string
	}{
		{[]string{"eval", dev, question}, "", 0, `"allow": true`},
		{[]string{"eval", question}, dev, 0, `"allow": true`},
		{[]string{"explain", question}, "", 0, `the data {"grants"`},
		{[]string{"explain", dev, "--log", log}, "", 2, "--id"},
		{[]string{"replay", dev, log}, "", 0, "0 decisions replayed"},
		{[]string{"replay", dev, "--log", log}, "", 0, "0 decisions replayed"},
		{[]string{"replay", dev}, "", 2, "log"},
		{[]string{"check", dev, "--key-file", question}, "", 2, "--key-id"},
		{[]string{"check", masked}, "", 0, "warning: transform \"no-such-transform\""},
		{[]string{"check", masked, "--wasm-manifest", manifest}, "", 1, "error: transform \"no-such-transform\""},
		{[]string{"check", masked, "--wasm-manifest", question}, "", 2, "manifest"},
		{[]string{"test", filepath.Join(fixtures, "policy-good"), "--coverage", "--threshold", "100"}, "", 0, "payments.rego: 100.0%"},
		{[]string{"test", dev, "--threshold", "101"}, "", 2, "--threshold"},
		{[]string{"test", dev, "--run", "("}, "", 2, "--run"},
		{[]string{"check", filepath.Join(fixtures, "policy-bad", "misspelt"), "--sarif"}, "", 1, `"version": "2.1.0"`},
		{[]string{"check", filepath.Join(dir, "none")}, "", 2, "none"},
		{[]string{"eval", dev, filepath.Join(dir, "none.json")}, "", 2, "none.json"},
		{[]string{"replay", filepath.Join(dir, "none"), log}, "", 2, "none"},
		{[]string{"reach", dev, "--who", "agent_api", "--json"}, "", 0, `"bound": "upper"`},
		{[]string{"diff", dev, dev}, "", 0, "0 changes widen"},
		{[]string{"diff", masked, dev}, "", 1, "widens: "},
		{[]string{"diff", filepath.Join(dir, "none"), dev}, "", 2, "none"},
		{[]string{"tighten", dev, log, "--out", filepath.Join(dir, "out")}, "", 2, "no allowed call"},
		{[]string{"coverage", dev, log}, "", 0, "unused: the grant"},
		{[]string{"new", filepath.Join(dir, "new"), "--team", "payments"}, "", 0, "payments_test.rego"},
		{[]string{"fmt", filepath.Join(dir, "new"), "--check"}, "", 0, ""},
		{[]string{"rules", filepath.Join(dir, "new")}, "", 0, "payments.no_destroy"},
		{[]string{"schema", "data"}, "", 0, `"additionalProperties": false`},
		{[]string{"schema", "nothing"}, "", 2, "input"},
		{[]string{"bench", dev}, "", 2, "unexpected argument"},
		{[]string{"rules", broken, "--json"}, "", 2, `"ok": false`},
	} {
		out, code := portcullis(t, []string{"POLICY_DIR=" + tt.dir}, append([]string{"policy"}, tt.args...)...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("policy %q: exit code %d, want %d and %q in\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
	out, code := portcullis(t, []string{"POLICY_DIR=" + dev, "KV_MOUNTS=secret,legacy"}, "vault-policy", "agent_api")
	if code != 2 || !strings.Contains(out, "give the version of the KV mount legacy, 1 or 2") {
		t.Errorf("vault-policy of a mount without a version: exit code %d and\n%s", code, out)
	}
}

// TestCommandsTellATerminalNothing: names of files, and names and values in them, are text
// wherever a command says them.
func TestCommandsTellATerminalNothing(t *testing.T) {
	const evil = "\x1b[2J\u009bx\u202e"
	dir := filepath.Join(t.TempDir(), "p"+evil)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"data.json": `{"grants":{"subjects":{"a\u001b[2J\u009bx\u202e":{"kv":{"x":{}}}}},"tiers":{"b\u001b[2J\u009bx\u202e":{}}}`,
		"c.toml":    `log_level = "\u001b[2J\u009bx\u202e"`,
		"a.jsonl":   `{"seq":1}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	evidence, settings := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "c.toml")
	for _, args := range [][]string{
		{"policy", "check", dir},
		{"policy", "reach", dir},
		{"policy", "inspect", dir},
		{"policy", "diff", dir, dir},
		{"policy", "check", evil},
		{"audit", "verify", evidence},
		{"audit", "query", evidence},
		{"audit", "query", evil},
		{"config", "check", "--config", settings},
		{"doctor", "--config", settings},
		{"wasm", "inspect", evil},
		{"revoke", "--file", dir, "--subject", "x"},
		{evil},
		{"policy", "check", "--" + evil},
	} {
		if out, _ := portcullis(t, nil, args...); strings.ContainsAny(out, evil[:1]+"\u009b\u202e") {
			t.Errorf("%q: %q", args, out)
		}
	}
}
