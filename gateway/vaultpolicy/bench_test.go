package vaultpolicy_test

import (
	"fmt"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/vaultpolicy"
)

// BenchmarkNewCaller is what the first call of a caller with a Vault token of its own
// costs in decisions: its rules, under the embedded policy.
func BenchmarkNewCaller(b *testing.B) {
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		b.Fatal(err)
	}
	e, err := policy.Open(policy.Config{Catalogue: c, Timeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	rules := vaultpolicy.Of(c, e)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		name := fmt.Sprintf("agent-%d", n)
		prefix, err := call.ParsePath("mcp/" + name)
		if err != nil {
			b.Fatal(err)
		}
		if len(rules(&call.Caller{Subject: name, Prefix: prefix, Method: call.JWT}, "kv")) == 0 {
			b.Fatal("a caller has no rules")
		}
	}
}
