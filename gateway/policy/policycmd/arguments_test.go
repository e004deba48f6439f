package policycmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/policycmd"
)

// dirOf writes a policy directory.
func dirOf(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ruled is a policy of one rule with its test, and data.
func ruled(t testing.TB, body, input, data string) string {
	t.Helper()
	return dirOf(t, map[string]string{
		"data.yaml": data,
		"x.rego": "package policy.deny.x\n\nimport rego.v2\n\n# METADATA\n# custom:\n#   id: x.rule\n" +
			`deny contains {"code": "x.code", "msg": "not so", "rule": "x.rule"} if {` + "\n" + body + "\n}\n",
		"x_test.rego": "package policy.deny.x_test\n\nimport rego.v2\n\n" +
			"test_rule if count(data.policy.deny.x.deny) == 1 with input as " + input + "\n",
	})
}

// logged decides calls, all of one caller, and returns the log and the decisions.
func logged(t testing.TB, c policy.Config, calls ...[2]string) (string, []op.Decision) {
	t.Helper()
	c.LogFile = filepath.Join(t.TempDir(), "decisions.jsonl")
	c.Catalogue, c.LogKey, c.Timeout = catalogue(t), []byte("k"), time.Minute
	e, err := policy.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := call.ParsePath("mcp/agent_api")
	if err != nil {
		t.Fatal(err)
	}
	who := &call.Caller{Subject: "agent_api", Kind: "agent", Prefix: prefix, Scopes: []string{"read", "write", "delete"}, Method: call.APIKey}
	var out []op.Decision
	for _, x := range calls {
		b, err := c.Catalogue.Bind(&op.Request{Op: x[0], Caller: who, Args: []byte(x[1]), Time: time.Unix(1_700_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Decide(t.Context(), b))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(c.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), out
}

// rules over arguments, each with a call that it denies and one that it does not.
var overArguments = []struct{ name, body, input, denied, allowed string }{
	{"a literal", `input.args.values.valid_principals == "root"`, `{"args": {"values": {"valid_principals": "root"}}}`, "root", "ubuntu"},
	{"one of a list", `some p in split(input.args.values.valid_principals, ","); p == "root"`, `{"args": {"values": {"valid_principals": "a,root"}}}`, "ubuntu,root", "ubuntu"},
	{"a beginning", `startswith(input.args.values.valid_principals, "ro")`, `{"args": {"values": {"valid_principals": "rot"}}}`, "rosalind", "ubuntu"},
	{"a length", `count(input.args.values.valid_principals) > 6`, `{"args": {"values": {"valid_principals": "rosalind"}}}`, "rosalind", "ubuntu"},
}

const sshCA = "grants: {subjects: {agent_api: {ssh: {ca: {}}}}}\n"

func signing(principal string) [2]string {
	return [2]string{"ssh.sign", fmt.Sprintf(`{"role":"ca","public_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAx6Rv55TMFsbUP3UEPE2iHdJhlcfWeSg4TtsvtnmQlJ","valid_principals":%q}`, principal)}
}

// What the log says was denied, the explanation says was denied, for the same reason,
// and a replay under the same policy flips nothing and leaves nothing out.
func TestADenialByAnArgumentIsExplainedAndReplayed(t *testing.T) {
	for _, tt := range overArguments {
		t.Run(tt.name, func(t *testing.T) {
			dir := ruled(t, tt.body, tt.input, sshCA)
			log, made := logged(t, policy.Config{Dir: dir}, signing(tt.denied), signing(tt.allowed))
			if made[0].Allow || !made[1].Allow {
				t.Fatalf("decided %v and %v", made[0].Allow, made[1].Allow)
			}
			line, err := policycmd.Find(strings.NewReader(log), made[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			p, out := on(t, dir)
			if err := p.Explain(t.Context(), line, false); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"denied: agent_api ssh.sign", "x.code: not so", "rule x.rule at"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(out.String(), "allowed:") {
				t.Errorf("a denied call is called allowed:\n%s", out)
			}
			p, out = on(t, dir)
			r, err := p.Replay(t.Context(), strings.NewReader(log))
			if err != nil || r.Decisions != 2 || r.Flips != 0 || r.NotReplayable != 0 {
				t.Errorf("%+v, %v\n%s", r, err, out)
			}
		})
	}
}

// A value that the policy spells out is recorded, so another policy can be asked too;
// one that it does not is hidden, and is recorded once the data say so.
func TestAnotherPolicyIsAskedAboutRecordedArguments(t *testing.T) {
	strict := ruled(t, `input.args.values.valid_principals == "root"`, `{"args": {"values": {"valid_principals": "root"}}}`, sshCA)
	lax := ruled(t, `input.args.values.valid_principals == "admin"`, `{"args": {"values": {"valid_principals": "admin"}}}`, sshCA)
	long := ruled(t, `count(input.args.values.valid_principals) > 6`, `{"args": {"values": {"valid_principals": "rosalind"}}}`, sshCA)
	log, _ := logged(t, policy.Config{Dir: strict}, signing("root"))
	p, out := on(t, lax)
	if r, err := p.Replay(t.Context(), strings.NewReader(log)); !errors.Is(err, policycmd.ErrFound) || r.Flips != 1 || r.NotReplayable != 0 {
		t.Errorf("a literal: %+v, %v\n%s", r, err, out)
	}
	log, _ = logged(t, policy.Config{Dir: strict}, signing("rosalind"))
	if strings.Contains(log, "rosalind") {
		t.Errorf("the argument is in the log:\n%s", log)
	}
	p, out = on(t, long)
	if r, err := p.Replay(t.Context(), strings.NewReader(log)); err != nil || r.NotReplayable != 1 || !strings.Contains(out.String(), "the log hides args.values.valid_principals; name") {
		t.Errorf("hidden: %+v, %v\n%s", r, err, out)
	}
	p, out = on(t, long)
	if err := p.Explain(t.Context(), []byte(strings.TrimSpace(log)), false); err != nil || !strings.Contains(out.String(), "its own answer is not known") {
		t.Errorf("hidden: %v\n%s", err, out)
	}
	open := ruled(t, `input.args.values.valid_principals == "root"`, `{"args": {"values": {"valid_principals": "root"}}}`, sshCA+"unmasked: [args.values.valid_principals]\n")
	log, _ = logged(t, policy.Config{Dir: open}, signing("rosalind"))
	p, out = on(t, long)
	if r, err := p.Replay(t.Context(), strings.NewReader(log)); !errors.Is(err, policycmd.ErrFound) || r.Flips != 1 {
		t.Errorf("recorded: %+v, %v\n%s", r, err, out)
	}
}

// Masked numbers, lists and objects do not keep a record from being read.
func TestMaskedFieldsOfEveryTypeCanBeReplayed(t *testing.T) {
	dir := dirOf(t, map[string]string{"data.yaml": sshCA + "masks: [principal.roles, principal.auth.age_s, context.time, args.keys, resource.version, principal.scopes]\n"})
	log, made := logged(t, policy.Config{Dir: dir}, signing("ubuntu"), [2]string{"ssh.sign", `{"role":"none","public_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAx6Rv55TMFsbUP3UEPE2iHdJhlcfWeSg4TtsvtnmQlJ"}`})
	p, out := on(t, dir)
	if r, err := p.Replay(t.Context(), strings.NewReader(log)); err != nil || r.Decisions != 2 || r.Flips != 0 {
		t.Errorf("%+v, %v\n%s\n%s", r, err, out, log)
	}
	line, err := policycmd.Find(strings.NewReader(log), made[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Explain(t.Context(), line, false); err != nil || !strings.Contains(out.String(), "denied: agent_api ssh.sign") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Lines of a shadow are no decisions: they have fields of the same names and of other
// types, and neither a replay nor a search for a decision stumbles over them.
func TestShadowLinesAreLeftOut(t *testing.T) {
	log, made := logged(t, policy.Config{}, [2]string{"kv.read", `{"path":"a"}`})
	shadow := fmt.Sprintf(`{"v":1,"shadow":"r2","id":%q,"diff":"would_deny","reasons":["x.code"],"input":{}}`+"\n", made[0].ID)
	p, out := on(t, "")
	r, err := p.Replay(t.Context(), strings.NewReader(log+shadow+log))
	if err != nil || r.Decisions != 2 || r.Flips != 0 {
		t.Errorf("%+v, %v\n%s", r, err, out)
	}
	line, err := policycmd.Find(strings.NewReader(shadow+log+shadow), made[0].ID)
	if err != nil || !bytes.Contains(line, []byte(`"input"`)) || bytes.Contains(line, []byte("shadow")) {
		t.Errorf("%v: %s", err, line)
	}
}

func policyConfig() policy.Config { return policy.Config{} }
