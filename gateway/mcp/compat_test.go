package mcp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// TestCompat holds the shapes and error numbers of the service that this one
// replaces. The status is 200 whatever came of a request.
func TestCompat(t *testing.T) {
	w := newWorld(t)
	w.Compat = true
	w.answers["kv.delete"] = func(*op.Request) (string, error) {
		return "", &call.Error{Code: call.InsufficientScope, Msg: "a scope is missing", Scopes: []string{"delete"}}
	}
	w.answers["kv.write"] = func(*op.Request) (string, error) {
		return "", call.Wrap(call.VaultError, "Vault error", http.ErrHandlerTimeout)
	}
	s := mcp.New(w.Config)
	for _, tc := range []struct{ name, call, want string }{
		{"initialize", `"initialize"`, `"serverInfo":{"name":"vault-mcp","version":"2025-06-18"}`},
		{"capabilities", `"initialize"`, `"prompts":true,"resources":true,"resumable":false,"sessions":true,"tools":[`},
		{"shutdown", `"shutdown"`, `"result":{"ok":true}`},
		{"tools", `"tools/list"`, `"input_schema":{`},
		{"a call", `"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}`, `"result":{"content":{"data":{"k":"v"},"version":3`},
		{"resources", `"resources/list"`, `"resources":[{"uri":"kv://agent/","name":"agent KV root","mimeType":"application/json"}]`},
		{"a resource", `"resources/get","params":{"uri":"kv://agent/app?version=2"}`, `"result":{"uri":"kv://agent/app?version=2","mimeType":"application/json","content":{"data":{"k":"v"},"version":3}}`},
		{"a listing", `"resources/get","params":{"uri":"kv://agent/"}`, `"content":{"keys":["app","team/"]}`},
		{"somebody else's", `"resources/get","params":{"uri":"kv://other/app"}`, `"code":-32603,"message":"Forbidden: cross-subject access forbidden"`},
		{"subscribe", `"resources/subscribe","params":{"uriPrefix":"kv://agent/"}`, `"result":{"ok":true}`},
		{"subscribe to nothing", `"resources/subscribe","params":{}`, `"code":-32602,"message":"uriPrefix required"`},
		{"prompts", `"prompts/list"`, `"name":"kv_read"`},
		{"a prompt", `"prompts/get","params":{"name":"kv_write","arguments":{"path":"a"}}`, `"suggested_tool":{"arguments":{"path":"a"},"name":"kv.write"}`},
		{"unknown method", `"nope"`, `"code":-32601`},
		{"unknown tool", `"tools/call","params":{"name":"nope"}`, `"code":-32000`},
		{"denied", `"tools/call","params":{"name":"transit.encrypt","arguments":{"key":"k","plaintext":"aGk="}}`, `"code":-32603,"message":"Forbidden: denied by policy"`},
		{"a scope", `"tools/call","params":{"name":"kv.delete","arguments":{"path":"a"}}`, `"code":-32603,"message":"Forbidden: missing scopes: ['delete']"`},
		{"Vault", `"tools/call","params":{"name":"kv.write","arguments":{"path":"a","data":{}}}`, `"code":-32000,"message":"Vault error"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":`+tc.call+`}`)
			if body := compact(t, got.Body.Bytes()); got.Code != http.StatusOK || !strings.Contains(body, tc.want) {
				t.Errorf("got %d %s, want %s", got.Code, body, tc.want)
			}
		})
	}
	if got := post(t, s.ServeMCP, agent(t), initialize).Body.String(); !strings.Contains(got, `"name":"portcullis"`) {
		t.Errorf("/mcp is not as the protocol has it: %s", got)
	}
}

// TestToolNames holds which spelling a client is shown; both can be called.
func TestToolNames(t *testing.T) {
	for _, tc := range []struct{ style, client, want string }{
		{"", "somebody", "kv_read"},
		{"auto", "claude-ai", "kv_read"},
		{"", "cursor-vscode", "kv_read"},
		{"dotted", "claude-ai", "kv.read"},
		{"underscore", "somebody", "kv_read"},
	} {
		t.Run(tc.style+" "+tc.client, func(t *testing.T) {
			w := newWorld(t)
			w.ToolNames = tc.style
			s := mcp.New(w.Config)
			meta := `{"jsonrpc":"2.0","id":1,"method":"METHOD","params":{"name":"rotate_secret","arguments":{"path":"app"},` +
				`"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"` + tc.client + `","version":"1"}}}}`
			for _, method := range []string{"tools/list", "prompts/get"} {
				got := post(t, s.ServeRPC, agent(t), strings.Replace(meta, "METHOD", method, 1)).Body.String()
				other := map[string]string{"kv.read": "kv_read", "kv_read": "kv.read"}[tc.want]
				if !strings.Contains(got, tc.want) || strings.Contains(got, other) {
					t.Errorf("%s shows %s", method, got)
				}
			}
		})
	}
}

// TestPromptsSuggestWhatIsAllowed holds that a prompt needs every call that it
// suggests.
func TestPromptsSuggestWhatIsAllowed(t *testing.T) {
	w := newWorld(t)
	w.hidden["kv.write"] = true
	s := mcp.New(w.Config)
	if got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`).Body.String(); strings.Contains(got, "rotate_secret") || !strings.Contains(got, "sign_file") {
		t.Errorf("got %s", got)
	}
	for name, want := range map[string]string{"rotate_secret": "unknown prompt", "nope": "unknown prompt", "sign_file": "argument key"} {
		got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"`+name+`","arguments":{}}}`).Body.String()
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// TestGrantedNames holds that a caller is told the keys and roles that it may use:
// in the schemas and as completions.
func TestGrantedNames(t *testing.T) {
	w := newWorld(t)
	w.Names = func(_ context.Context, _ *call.Caller, o *op.Op) ([]string, bool) {
		return []string{"mcp", "signing"}, o.Engine == "transit" && o.Name != "transit.random"
	}
	s := mcp.New(w.Config)
	if got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body.String(); !strings.Contains(got, `"enum":["mcp","signing"]`) {
		t.Errorf("got %s", got)
	}
	for argument, want := range map[string]string{
		`{"name":"key","value":"si"}`: `"values":["signing"]`, `{"name":"key","value":""}`: `"values":["mcp","signing"]`, `{"name":"x","value":""}`: `"values":[]`,
	} {
		body := `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"sign_file"},"argument":` + argument + `}}`
		if got := post(t, s.ServeRPC, agent(t), body).Body.String(); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", argument, got, want)
		}
	}
}
