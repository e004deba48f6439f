package mcp_test

import (
	"strings"
	"testing"

	"portcullis/gateway/mcp"
)

// TestNearestTool: a mistaken name is answered with the one that was meant, and an
// unlike one with none.
func TestNearestTool(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for name, want := range map[string]string{
		"kv_get": "kv_read", "get_secret": "kv_read", "read_secret": "kv_read", "kv-put": "kv_write", "list_secrets": "kv_list", "KV.Read": "kv_read",
		"kv_reed": "kv_read", "kv_raed": "kv_read", "kv.wirte": "kv_write", "kv_": "", "transit_encode": "transit_encrypt", "encrypt": "transit_encrypt", "ssh_sig": "ssh_sign", "who_am_i": "self_whoami",
		"remove_secret": "kv_delete", "bash": "", "": "", strings.Repeat("x", 100_000): "",
	} {
		got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"}}`).Body.String()
		if want == "" && strings.Contains(got, "did you mean") || !strings.Contains(got, "did you mean "+want) && want != "" {
			t.Errorf("%.40s: got %.120s, want %s", name, got, want)
		}
	}
}

// TestInstructions: what a model is told first names where its secrets are, in both eras.
func TestInstructions(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`,
	} {
		got := post(t, s.ServeRPC, agent(t), body).Body.String()
		for _, want := range []string{"your own prefix, mcp/agent:", "kv://secret/FULL/PATH", "kv_read_many"} {
			if !strings.Contains(got, want) {
				t.Errorf("%.60s: got %.600s, want %s", body, got, want)
			}
		}
	}
}
