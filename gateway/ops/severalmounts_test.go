package ops_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

// newMountsRig has four KV mounts, one of version 1, and two of transit.
func newMountsRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	for path, body := range map[string]string{
		"team-kv": `{"type":"kv","options":{"version":"2"}}`, "team/kv": `{"type":"kv","options":{"version":"2"}}`,
		"legacy": `{"type":"kv","options":{"version":"1"}}`, "transit2": `{"type":"transit"}`,
	} {
		r.admin(t, "sys/mounts/"+path, body)
	}
	r.admin(t, "transit2/keys/mcp", `{}`)
	var err error
	r.catalogue, err = ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", More: map[string][]op.Mount{
		"kv":      {{Path: "team-kv"}, {Path: "team/kv", Prefix: "people/{subject}"}, {Path: "legacy", Version: 1}},
		"transit": {{Path: "transit2"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each mount holds its own, however it is named.
func TestSeveralMounts(t *testing.T) {
	r := newMountsRig(t)
	own := map[string]string{"secret": "mcp/agent", "team-kv": "mcp/agent", "team/kv": "people/agent", "legacy": "mcp/agent"}
	for mount := range own {
		r.must(t, "kv.write", fmt.Sprintf(`{"mount":%q,"path":"app","data":{"in":%q}}`, mount, mount))
	}
	for mount, prefix := range own {
		for _, args := range []string{
			fmt.Sprintf(`{"mount":%q,"path":"app"}`, mount), fmt.Sprintf(`{"path":"kv://%s/%s/app"}`, mount, prefix),
		} {
			if got := fmt.Sprint(r.must(t, "kv.read", args)["data"]); got != "map[in:"+mount+"]" {
				t.Errorf("%s: got %s", args, got)
			}
		}
		if got := fmt.Sprint(r.must(t, "kv.list", fmt.Sprintf(`{"mount":%q}`, mount))); got != "map[keys:[app]]" {
			t.Errorf("list in %s: got %s", mount, got)
		}
		many := r.must(t, "kv.read_many", fmt.Sprintf(`{"mount":%q,"paths":["app"]}`, mount))
		if got := fmt.Sprint(many); !strings.Contains(got, "in:"+mount) {
			t.Errorf("read_many in %s: got %s", mount, got)
		}
		r.must(t, "kv.delete", fmt.Sprintf(`{"mount":%q,"path":"app"}`, mount))
		_, err := r.do(t.Context(), "kv.read", fmt.Sprintf(`{"mount":%q,"path":"app"}`, mount))
		if !call.Is(err, call.NotFound) && !call.Is(err, call.Deleted) {
			t.Errorf("%s: got %v after the deletion", mount, err)
		}
	}
	one := r.must(t, "transit.encrypt", `{"mount":"transit2","key":"mcp","plaintext":"aGk="}`)["ciphertext"]
	if got := r.must(t, "transit.decrypt", fmt.Sprintf(`{"mount":"transit2","key":"mcp","ciphertext":%q}`, one))["plaintext"]; got != "aGk=" {
		t.Errorf("decrypt: got %v", got)
	}
	if _, err := r.do(t.Context(), "transit.decrypt", fmt.Sprintf(`{"key":"mcp","ciphertext":%q}`, one)); err == nil {
		t.Error("a key of one mount decrypts what another one has encrypted")
	}
}

// What a mount is not, or does not have, is said before Vault is asked.
func TestMountsRefused(t *testing.T) {
	r := newMountsRig(t)
	for name, c := range map[string][2]string{
		"no such mount":           {"kv.read", `{"mount":"nowhere","path":"app"}`},
		"no such mount in a URI":  {"kv.read", `{"path":"kv://nowhere/app"}`},
		"two mounts":              {"kv.read", `{"mount":"secret","path":"kv://team-kv/app"}`},
		"a mount of another kind": {"kv.read", `{"mount":"transit","path":"app"}`},
		"given twice":             {"kv.read", `{"mount":"secret","mount":"team-kv","path":"app"}`},
		"no text":                 {"kv.read", `{"mount":["secret"],"path":"app"}`},
		"a version in version 1":  {"kv.read", `{"mount":"legacy","path":"app","version":2}`},
		"cas in version 1":        {"kv.write", `{"mount":"legacy","path":"app","data":{},"cas":0}`},
		"patch in version 1":      {"kv.patch", `{"mount":"legacy","path":"app","data":{}}`},
		"undelete in version 1":   {"kv.undelete", `{"mount":"legacy","path":"app","versions":[1]}`},
		"metadata in version 1":   {"kv.metadata", `{"mount":"legacy","path":"app"}`},
		"settings in version 1":   {"kv.set_metadata", `{"mount":"legacy","path":"app","max_versions":2}`},
		"structure in version 1":  {"kv.subkeys", `{"mount":"legacy","path":"app"}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.do(t.Context(), c[0], c[1])
			wantCode(t, err, call.InvalidRequest)
		})
	}
}

// What is deleted in version 1 is gone, and the policy is told so.
func TestDeletingInVersion1IsDestructive(t *testing.T) {
	r := newMountsRig(t)
	for mount, want := range map[string]bool{"legacy": true, "team-kv": false} {
		b, err := r.catalogue.Bind(&op.Request{Op: "kv.delete", Args: fmt.Appendf(nil, `{"mount":%q,"path":"x"}`, mount), Caller: caller("agent")})
		if err != nil || b.Destructive != want {
			t.Errorf("%s: got %v, %v, want %v", mount, b.Destructive, err, want)
		}
	}
}

// Nobody can tell what a call does in a mount before Vault has said what it is.
func TestUnknownVersionOfKV(t *testing.T) {
	found := 0
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", More: map[string][]op.Mount{
		"kv": {{Path: "other", Found: func() int { return found }}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{`{"mount":"other","path":"x"}`, `{"path":"kv://other/x"}`} {
		found = 0
		_, err := c.Bind(&op.Request{Op: "kv.read", Args: []byte(args), Caller: caller("agent")})
		wantCode(t, err, call.VaultUnavailable)
		found = 1
		if _, err = c.Bind(&op.Request{Op: "kv.read", Args: []byte(args), Caller: caller("agent")}); err != nil {
			t.Error(err)
		}
	}
}

// The schema has the argument where there is a choice, and a single mount may be named.
func TestMountInSchemas(t *testing.T) {
	for _, o := range catalogue(t).All() {
		if o.In.Properties["mount"] != nil {
			t.Errorf("%s: the schema offers one mount to choose", o.Name)
		}
	}
	r := newRig(t)
	r.must(t, "kv.write", `{"mount":"secret","path":"named","data":{}}`)
	many := newMountsRig(t).catalogue
	for name, want := range map[string]int{"kv.read": 4, "kv.read_many": 4, "transit.random": 2, "ssh.otp": 0, "self.whoami": 0} {
		got := 0
		if p := many.Get(name).In.Properties["mount"]; p != nil {
			got = len(p.Enum)
		}
		if got != want {
			t.Errorf("%s: %d mounts to choose, want %d", name, got, want)
		}
	}
}
