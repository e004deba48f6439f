package opstest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/ops"
	"portcullis/gateway/ops/opstest"
)

// Every operation is called once, every argument of a call exists, and every
// argument that is a name is among the fields.
func TestComplete(t *testing.T) {
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp", Creds: "brokers"})
	if err != nil {
		t.Fatal(err)
	}
	called, fields := map[string]int{}, map[string]bool{}
	for _, e := range opstest.Calls("app") {
		called[e.Op]++
	}
	for _, f := range opstest.Fields() {
		fields[f.Op+" "+f.Name] = true
	}
	for _, o := range c.All() {
		if o.VaultAPI {
			continue // the tests of that API call it
		}
		if called[o.Name] != 1 {
			t.Errorf("%s is called %d times, want once", o.Name, called[o.Name])
		}
		for _, name := range []string{"path", "prefix", "key", "role", "lease_id", "username", "valid_principals", "key_id", "ip", "algorithm"} {
			// An enumeration is held by its own limit.
			if p := o.In.Properties[name]; p != nil && len(p.Enum) == 0 && !fields[o.Name+" "+name] {
				t.Errorf("%s: the argument %s is not among the fields", o.Name, name)
			}
		}
	}
	for _, f := range opstest.Fields() {
		if c.Get(f.Op).In.Properties[f.Name] == nil || !json.Valid([]byte(strings.ReplaceAll(f.Args, "?", `"x"`))) {
			t.Errorf("%s has no argument %s, or %s is not JSON", f.Op, f.Name, f.Args)
		}
	}
}

func ExampleCall_Arguments() {
	c := opstest.Call{Op: "transit.decrypt", Args: `{"ciphertext":"${ciphertext}"}`}
	fmt.Println(c.Arguments(map[string]string{"ciphertext": "vault:v1:x"}))
	// Output: {"ciphertext":"vault:v1:x"}
}
