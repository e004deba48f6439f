package ops_test

import (
	"encoding/json"
	"testing"

	"portcullis/gateway/ops"
)

func TestCatalogue(t *testing.T) {
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range c.All() {
		b, _ := json.Marshal(map[string]any{"in": o.In, "out": o.Out})
		t.Log(o.Name, string(b))
	}
}
