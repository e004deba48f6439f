package ops_test

import (
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

// TestEveryBatchSaysHowLongItIs: what takes a list of items is charged for them.
func TestEveryBatchSaysHowLongItIs(t *testing.T) {
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	item := map[string]string{
		"transit.encrypt": `{"plaintext":"YQ=="}`, "transit.decrypt": `{"ciphertext":"vault:v1:YQ=="}`, "transit.rewrap": `{"ciphertext":"vault:v1:YQ=="}`,
		"transit.sign": `{"input":"YQ=="}`, "transit.verify": `{"input":"YQ==","signature":"vault:v1:YQ=="}`,
	}
	for _, o := range c.All() {
		if o.In.Properties["items"] == nil {
			continue
		}
		args := `{"key":"mcp","items":[` + strings.TrimSuffix(strings.Repeat(item[o.Name]+",", 25), ",") + `]}`
		b, err := c.Bind(&op.Request{Op: o.Name, Args: []byte(args), Caller: &call.Caller{Subject: "a"}})
		if err != nil {
			t.Errorf("%s: %v", o.Name, err)
			continue
		}
		if b.Items != 25 {
			t.Errorf("%s of 25 items: counted %d", o.Name, b.Items)
		}
	}
}
