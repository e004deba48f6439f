package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// wrongCall is a call that models make, and what an answer must say for the next one
// to be right. A call that is understood all the same is right.
type wrongCall struct{ tool, args, hint string }

func wrongCalls() []wrongCall {
	return []wrongCall{
		{"kv_get", `{"path":"app"}`, `did you mean kv_read`},
		{"read_secret", `{"path":"app"}`, `did you mean kv_read`},
		{"kv.reed", `{"path":"app"}`, `did you mean kv_read`},
		{"vault_kv_read", `{"path":"app"}`, `did you mean kv_read`},
		{"list_secrets", `{}`, `did you mean kv_list`},
		{"KV_READ", `{"path":"app"}`, `did you mean kv_read`},
		{"kv-write", `{"path":"app"}`, `did you mean kv_write`},
		{"transit_encode", `{"key":"mcp"}`, `did you mean transit_encrypt`},
		{"kv_read", `{}`, `path.*missing`},
		{"kv_read", `{"key":"app"}`, `path \(string, required\)`},
		{"kv_read", `{"path":"secret/data/app"}`, `below your own prefix, mcp/agent_api.*data/`},
		{"kv_read", `{"path":"secret/app"}`, `below your own prefix, mcp/agent_api`},
		{"kv_read", `{"path":"mcp/agent_api/app"}`, `below your own prefix, mcp/agent_api`},
		{"kv_read", `{"path":"/app"}`, `single slashes between them and none at either end`},
		{"kv_read", `{"path":"app/"}`, `single slashes between them and none at either end`},
		{"kv_read", `{"path":"../other/app"}`, `single slashes between them and none at either end`},
		{"kv_read", `{"path":"team//app"}`, `single slashes between them and none at either end`},
		{"kv_read", `{"path":"kv://secret/mcp/agent_api/app"}`, `single slashes between them and none at either end`},
		{"kv_read", `{"path":"app","version":"1"}`, `version.*integer`},
		{"kv_read", `{"path":"app","version":1.5}`, `version.*integer`},
		{"kv_read", `{"path":"app","version":-1}`, `version: less than 0`},
		{"kv_read", `{"path":"app","version":"latest"}`, `version.*integer`},
		{"kv_read", `{"path":["app"]}`, `path \(string`},
		{"kv_read", `{"path":"app","field":"user"}`, `takes path`},
		{"kv_read", `{"path":"absent"}`, `kv_list lists what there is`},
		{"kv_read", `{"path":"gone"}`, `kv_undelete brings a version back`},
		{"kv_read", `"app"`, `arguments must be an object, not a string`},
		{"kv_write", `{"path":"app"}`, `data.*missing`},
		{"kv_write", `{"path":"app","data":"{\"a\":1}"}`, `data \(object`},
		{"kv_write", `{"path":"app","data":["a"]}`, `data \(object`},
		{"kv_write", `{"path":"app","value":"v"}`, `data \(object, required\)`},
		{"kv_write", `{"path":"app","data":{"a":1},"cas":0}`, `cas set to the version`},
		{"kv_list", `{"path":"team"}`, `prefix \(string`},
		{"kv_undelete", `{"path":"app"}`, `versions.*missing`},
		{"kv_undelete", `{"path":"app","versions":"1"}`, `versions \(array`},
		{"transit_encrypt", `{"key":"mcp","plaintext":"hello, world"}`, `base64`},
		{"transit_encrypt", `{"key":"nope","plaintext":"aGk="}`, `yours are .*mcp`},
		{"transit_encrypt", `{"plaintext":"aGk="}`, `key.*missing`},
		{"transit_decrypt", `{"key":"mcp","ciphertext":"aGk="}`, `vault:v`},
		{"transit_sign", `{"key":"signing","data":"aGk="}`, `input \(string`},
		{"ssh_sign", `{"public_key":"ssh-ed25519 AAAA"}`, `role.*missing`},
		{"self_whoami", `{"random_string":"x"}`, `takes no arguments`},
	}
}

// TestModelErrors: of the wrong calls that models make, hardly one is answered in a way
// from which the right one does not follow. With MODEL_ERRORS=FILE the table is written.
func TestModelErrors(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t), "RATE_LIMIT_ENABLED=false")
	for _, s := range []string{"app", "gone"} {
		e2e.Do(t, "PUT", g.URL+"/secrets/"+s, `{"data":{"a":1}}`)
	}
	e2e.Do(t, "DELETE", g.URL+"/secrets/gone", "")
	table, good := "", 0
	for _, c := range wrongCalls() {
		_, raw := e2e.Do(t, "POST", g.URL+"/mcp/rpc", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+c.tool+`","arguments":`+c.args+`}}`)
		text, failed := answerText(t, raw)
		verdict := "yes"
		switch {
		case !failed:
			text = "understood"
		case !regexp.MustCompile(c.hint).MatchString(text):
			verdict = "no"
			t.Logf("%s %s: %s", c.tool, c.args, text)
		}
		if verdict == "yes" {
			good++
		}
		table += fmt.Sprintf("| `%s` | `%s` | %s | %s |\n", c.tool, c.args, strings.ReplaceAll(text, "|", `\|`), verdict)
	}
	if all := len(wrongCalls()); good < all-4 {
		t.Errorf("%d of %d answers let the next call be right, want %d", good, all, all-4)
	}
	if file := os.Getenv("MODEL_ERRORS"); file != "" {
		head := fmt.Sprintf("# Wrong calls that models make, and what they are answered\n\nWritten by a test against a running gateway: `MODEL_ERRORS=gateway/docs/model-errors.md go test ./gateway/e2e -run TestModelErrors`. "+
			"%d of %d answers let the next call be right. The ids at the end of an answer are left out.\n\n| tool | arguments | answer | the next call can be right |\n|---|---|---|---|\n", good, len(wrongCalls()))
		if err := os.WriteFile(filepath.Join(e2e.Root(t), file), []byte(head+table), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// answerText is what a model reads of an answer, without the ids, and whether the call
// failed.
func answerText(t *testing.T, raw []byte) (string, bool) {
	t.Helper()
	var reply struct {
		Error  *struct{ Message string }
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
	}
	if err := json.Unmarshal(raw, &reply); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if reply.Error != nil {
		return reply.Error.Message, true
	}
	text := ""
	for line := range strings.Lines(reply.Result.Content[0].Text) {
		if !strings.HasPrefix(line, "decision_id:") && !strings.HasPrefix(line, "request_id:") {
			text += strings.TrimSpace(line) + " "
		}
	}
	return strings.TrimSpace(text), reply.Result.IsError
}
