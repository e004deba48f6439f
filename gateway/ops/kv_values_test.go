package ops_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Every number that is accepted is the same number when it is read back; the others are
// refused with their place before anything is sent.
func TestNumbersAreKeptOrRefused(t *testing.T) {
	r := newRig(t)
	kept := 0
	for _, n := range []string{
		"0", "-1", "1.5", "0.1", "1.10", "1e3", "1E-7", "9007199254740992", "9007199254740993", "-9007199254740995", "18446744073709551615", "1e22", "1e23",
		"1e400", "1e-400", "0.30000000000000004", "3.14159265358979323846", "123456789.123456789", "5e-324", "1.7976931348623157e308", "100000000000000000000",
	} {
		for _, name := range []string{"kv.write", "kv.patch"} {
			r.must(t, "kv.write", `{"path":"n","data":{"a":{"b":[0]}}}`)
			before := vaultRequests(t, r)
			_, err := r.do(t.Context(), name, `{"path":"n","data":{"a":{"b":[`+n+`]}}}`)
			if err != nil {
				wantCode(t, err, call.InvalidRequest)
				if !strings.Contains(err.Error(), "/a/b/0") || vaultRequests(t, r) != before {
					t.Errorf("%s of %s: got %v, want the place of the number, and nothing sent", name, n, err)
				}
				continue
			}
			kept++
			if got := stored(t, r); !same(got, n) {
				t.Errorf("%s of %s: Vault has %s", name, n, got)
			}
		}
	}
	if kept < 20 {
		t.Errorf("only %d numbers were accepted", kept)
	}
}

// stored is the number as the gateway answers it.
func stored(t *testing.T, r *rig) string {
	t.Helper()
	b, err := r.catalogue.Bind(&op.Request{Op: "kv.read", Args: []byte(`{"path":"n"}`), Caller: caller("agent")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.client.Open(t.Context(), call.Mint(caller("agent"), call.Terms{Op: "kv.read", Resource: b.Resource}))
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := op.Encode(out)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), `"b":[`)
	n, _, _ := strings.Cut(rest, "]")
	return n
}

func same(a, b string) bool {
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

// The answer of a write says where the secret lies and what may not be meant, and does
// not send the secret back.
func TestWriteTellsWhatIsThere(t *testing.T) {
	r := newRig(t)
	out := r.must(t, "kv.write", `{"path":"team/app","data":{"password":"canary"}}`)
	if out["path"] != "kv://secret/mcp/agent/team/app" || fmt.Sprint(out["version"]) != "1" || strings.Contains(fmt.Sprint(out), "canary") {
		t.Errorf("got %v", out)
	}
	out = r.must(t, "kv.write", `{"path":"app","data":{"data":{"password":"x"}}}`)
	if !strings.Contains(fmt.Sprint(out["warnings"]), "without the outer data") {
		t.Errorf("a doubled envelope: got %v, want a warning", out)
	}
	out = r.must(t, "kv.write", `{"path":"app","data":{"data":"x","user":"y"}}`)
	if out["warnings"] != nil {
		t.Errorf("a key that is named data: got %v, want no warning", out)
	}
	_, err := r.do(t.Context(), "kv.write", `{"path":"a","data":{},"metadata":{"owner":"x"}}`)
	wantCode(t, err, call.InvalidRequest)
	if !strings.Contains(err.Error(), "kv.set_metadata") {
		t.Errorf("got %v, want the operation that sets metadata", err)
	}
}

// A path in a wrong form is told which one to use.
func TestWrongFormsOfAPath(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ op, path, more, want string }{
		{"kv.read", "secret/data/app", "", "did you mean app, or the full path kv://secret/app?"},
		{"kv.read", "secret/app", "", "did you mean app, or the full path kv://secret/app?"},
		{"kv.read", "mcp/agent/app", "", "did you mean app?"},
		{"kv.metadata", "secret/metadata/mcp/agent/app", "", "did you mean app?"},
		{"kv.subkeys", "secret/data/mcp/agent/app", "", "did you mean app?"},
		{"kv.patch", "mcp/agent/app", `,"data":{}`, "did you mean app?"},
		{"kv.destroy", "mcp/agent/app", `,"versions":[1]`, "did you mean app?"},
		{"kv.read", "kv://secret/data/shared/app", "", "did you mean kv://secret/shared/app?"},
	} {
		_, err := r.do(t.Context(), c.op, `{"path":"`+c.path+`"`+c.more+`}`)
		if !call.Is(err, call.NotFound) || !strings.Contains(call.AsError(err).Msg, c.want) {
			t.Errorf("%s %s: got %v, want %s", c.op, c.path, err, c.want)
		}
	}
	for _, path := range []string{"secret/data/app", "mcp/agent/app", "secret/metadata/app"} {
		_, err := r.do(t.Context(), "kv.write", `{"path":"`+path+`","data":{}}`)
		if !call.Is(err, call.InvalidRequest) || !strings.Contains(call.AsError(err).Msg, "did you mean app") {
			t.Errorf("write %s: got %v, want it refused with the path that is meant", path, err)
		}
	}
	r.must(t, "kv.write", `{"path":"kv://secret/mcp/agent/secret/data/app","data":{"x":1}}`)
	r.must(t, "kv.read", `{"path":"secret/data/app"}`) // what is there is read as it is written
	for _, own := range []string{
		"mcp/agent", "mcp/agent/", "secret/mcp/agent", "secret/metadata/mcp/agent/", "secret/metadata/",
	} {
		if out := r.must(t, "kv.list", `{"prefix":"`+own+`"}`); !strings.Contains(fmt.Sprint(out["warnings"]), "an empty prefix") {
			t.Errorf("list of one's own prefix as %s: got %v, want a hint", own, out)
		}
	}
}

// However a path is written, and over whichever transport, the policy sees one form.
func TestOneFormOfAPath(t *testing.T) {
	c := catalogue(t)
	for want, requests := range map[string][]op.Request{
		`{"path":"cards/1","version":0}`: {
			{Args: []byte(`{"path":"cards/1"}`)},
			{Args: []byte(`{"path":"kv://secret/mcp/agent/cards/1"}`)},
			{Args: []byte(`{"path":"mcp/agent/cards/1"}`), Absolute: true},
		},
		`{"path":"kv://secret/shared/1","version":0}`: {
			{Args: []byte(`{"path":"kv://secret/shared/1"}`)}, {Args: []byte(`{"path":"shared/1"}`), Absolute: true},
		},
	} {
		for _, q := range requests {
			q.Op, q.Caller = "kv.read", caller("agent")
			b, err := c.Bind(&q)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b.Values(); err != nil || string(got) != want {
				t.Errorf("%s: the policy sees %s %v, want %s", q.Args, got, err, want)
			}
		}
	}
}

// The bound of a path is that of the full path; what Vault's API adds does not count.
func TestLongestPath(t *testing.T) {
	r := newRig(t)
	longest := strings.Repeat("a", call.MaxPath-len("mcp/agent/"))
	r.must(t, "kv.write", `{"path":"`+longest+`","data":{"x":1}}`)
	r.must(t, "kv.read", `{"path":"`+longest+`"}`)
	r.must(t, "kv.metadata", `{"path":"kv://secret/mcp/agent/`+longest+`"}`)
	for n := call.MaxPath - len("mcp/agent/") + 1; n <= call.MaxPath+1; n++ {
		_, err := r.do(t.Context(), "kv.read", `{"path":"`+strings.Repeat("a", n)+`"}`)
		wantCode(t, err, call.InvalidRequest)
	}
}

// Versions that do not exist are told, and so is a secret that does not.
func TestVersionsThatDoNotExist(t *testing.T) {
	r := newRig(t)
	r.must(t, "kv.write", `{"path":"a","data":{}}`)
	for _, name := range []string{"kv.destroy", "kv.undelete"} {
		_, err := r.do(t.Context(), name, `{"path":"a","versions":[99]}`)
		wantCode(t, err, call.NotFound)
		_, err = r.do(t.Context(), name, `{"path":"b","versions":[1]}`)
		wantCode(t, err, call.NotFound)
	}
	if out := r.must(t, "kv.destroy", `{"path":"a","versions":[1,99]}`); fmt.Sprint(out["missing"]) != "[99]" {
		t.Errorf("got %v, want 99 told as missing", out)
	}
}

// With all, nothing of a secret is left; with cas, only the version that was seen goes.
func TestDeleteForGoodAndByVersion(t *testing.T) {
	r := newRig(t)
	r.must(t, "kv.write", `{"path":"a","data":{"x":1}}`)
	r.must(t, "kv.write", `{"path":"a","data":{"x":2}}`)
	_, err := r.do(t.Context(), "kv.delete", `{"path":"a","cas":1}`)
	wantCode(t, err, call.CASMismatch)
	r.must(t, "kv.delete", `{"path":"a","cas":2}`)
	_, err = r.do(t.Context(), "kv.read", `{"path":"a"}`)
	wantCode(t, err, call.Deleted)
	_, err = r.do(t.Context(), "kv.delete", `{"path":"a","cas":2,"all":true}`)
	wantCode(t, err, call.InvalidRequest)
	r.must(t, "kv.delete", `{"path":"a","all":true}`)
	_, err = r.do(t.Context(), "kv.metadata", `{"path":"a"}`)
	wantCode(t, err, call.NotFound)
	if out := r.must(t, "kv.list", `{}`); len(out["keys"].([]any)) != 0 {
		t.Errorf("got %v, want nothing left", out)
	}
	for args, want := range map[string]bool{`{"path":"a","all":true}`: true, `{"path":"a"}`: false, `{"path":"a","all":"true"}`: true} {
		b, err := r.catalogue.Bind(&op.Request{Op: "kv.delete", Args: []byte(args), Caller: caller("agent")})
		if err != nil || b.Destructive != want {
			t.Errorf("%s: destructive is %v %v, want %v", args, b, err, want)
		}
	}
}

func TestSetMetadata(t *testing.T) {
	r := newRig(t)
	out := r.must(t, "kv.set_metadata", `{"path":"a","custom_metadata":{"owner":"payments","tier":1},"max_versions":5}`)
	if fmt.Sprint(out["custom_metadata"], out["max_versions"]) != "map[owner:payments tier:1] 5" {
		t.Errorf("before the first write: got %v", out)
	}
	r.must(t, "kv.write", `{"path":"a","data":{"x":1}}`)
	out = r.must(t, "kv.set_metadata", `{"path":"a","custom_metadata":{"tier":null,"team":"core"},"cas_required":true,"delete_version_after":"72h"}`)
	if got := fmt.Sprintln(out["custom_metadata"], out["max_versions"], out["cas_required"], out["delete_version_after"]); got != "map[owner:payments team:core] 5 true 72h0m0s\n" {
		t.Errorf("got %s, want what was given changed and the rest as it was", got)
	}
	_, err := r.do(t.Context(), "kv.write", `{"path":"a","data":{"x":2}}`)
	wantCode(t, err, call.CASRequired)
	for _, bad := range []string{
		`{"path":"a"}`, `{"path":"a","custom_metadata":{"` + strings.Repeat("k", 129) + `":"v"}}`, `{"path":"a","custom_metadata":{"k":"` + strings.Repeat("v", 513) + `"}}`,
		`{"path":"a","delete_version_after":"soon"}`, `{"path":"a","max_versions":-1}`, `{"path":"a","custom_metadata":{"k":["v"]}}`,
	} {
		_, err := r.do(t.Context(), "kv.set_metadata", bad)
		wantCode(t, err, call.InvalidRequest)
	}
}

// A listing is bounded over MCP, and its pages hold every name once.
func TestListPages(t *testing.T) {
	r := newRig(t)
	const n = 25
	for i := range n {
		r.must(t, "kv.write", fmt.Sprintf(`{"path":"p/%03d","data":{}}`, i))
	}
	seen, after := map[string]bool{}, ""
	for range n {
		out := r.must(t, "kv.list", `{"prefix":"p","limit":10,"after":"`+after+`"}`)
		for _, k := range out["keys"].([]any) {
			if seen[fmt.Sprint(k)] {
				t.Errorf("%v came twice", k)
			}
			seen[fmt.Sprint(k)] = true
		}
		next, more := out["next"].(string)
		if !more {
			break
		}
		after = next
	}
	if len(seen) != n {
		t.Errorf("got %d names, want %d", len(seen), n)
	}
	for transport, want := range map[op.Transport]int{op.MCP: 200, op.Stdio: 200, op.REST: 0} {
		b, err := r.catalogue.Bind(&op.Request{Op: "kv.list", Transport: transport, Caller: caller("agent")})
		if err != nil {
			t.Fatal(err)
		}
		if raw, _ := b.Values(); strings.Contains(string(raw), fmt.Sprintf(`"limit":%d`, max(want, 1))) != (want > 0) {
			t.Errorf("over %s: got %s, want a limit of %d", transport, raw, want)
		}
	}
}
