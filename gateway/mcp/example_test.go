package mcp_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

func ExampleServer_ServeRPC() {
	catalogue, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := mcp.New(mcp.Config{
		Catalogue: catalogue, KVMount: "secret", Version: "example",
		Callable: func(context.Context, *call.Caller, *op.Op) bool { return true },
		Do: func(context.Context, *op.Request) (*op.Result, error) { // in the gateway, the pipeline
			return &op.Result{Body: []byte(`{"keys":["app"]}`)}, nil
		},
	})
	r := httptest.NewRequest("POST", "/mcp/rpc", strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.list"}}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeRPC(w, r, &call.Caller{Subject: "agent"})
	fmt.Println(w.Body)
	// Output: {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"keys\":[\"app\"]}"}],"structuredContent":{"keys":["app"]}}}
}
