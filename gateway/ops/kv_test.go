package ops_test

import (
	"fmt"
	"testing"

	"portcullis/gateway/call"
)

// A version that is soft-deleted is told from one that never was, and comes back.
func TestDeleted(t *testing.T) {
	r := newRig(t)
	r.must(t, "kv.write", `{"path":"a","data":{"x":1}}`)
	r.must(t, "kv.delete", `{"path":"a"}`)
	for name, more := range map[string]string{"kv.read": "", "kv.subkeys": "", "kv.patch": `,"data":{"x":2}`} {
		_, err := r.do(t.Context(), name, `{"path":"a"`+more+`}`)
		wantCode(t, err, call.Deleted)
		if data, _ := call.AsError(err).Data.(map[string]any); data["metadata"] == nil {
			t.Errorf("%s: the answer has no metadata of the version", name)
		}
		_, err = r.do(t.Context(), name, `{"path":"b"`+more+`}`)
		wantCode(t, err, call.NotFound)
	}
	r.must(t, "kv.undelete", `{"path":"a","versions":[1]}`)
	if got := fmt.Sprint(r.must(t, "kv.read", `{"path":"a"}`)["data"]); got != "map[x:1]" {
		t.Errorf("got %s, want what was written", got)
	}
	r.must(t, "kv.destroy", `{"path":"a","versions":[1]}`)
	_, err := r.do(t.Context(), "kv.read", `{"path":"a"}`)
	wantCode(t, err, call.Deleted)
}

func TestPatch(t *testing.T) {
	r := newRig(t)
	_, err := r.do(t.Context(), "kv.patch", `{"path":"a","data":{"x":1}}`)
	wantCode(t, err, call.NotFound)
	r.must(t, "kv.write", `{"path":"a","data":{"x":1,"y":2}}`)
	_, err = r.do(t.Context(), "kv.patch", `{"path":"a","data":{"x":3},"cas":7}`)
	wantCode(t, err, call.CASMismatch)
	r.must(t, "kv.patch", `{"path":"a","data":{"x":3,"y":null},"cas":1}`)
	if got := fmt.Sprint(r.must(t, "kv.read", `{"path":"a"}`)["data"]); got != "map[x:3]" {
		t.Errorf("got %s, want x changed and y removed", got)
	}
}

func TestKVRefuses(t *testing.T) {
	r := newRig(t)
	for name, tt := range map[string]struct{ op, args string }{
		"no versions":     {"kv.undelete", `{"path":"a","versions":[]}`},
		"version 0":       {"kv.destroy", `{"path":"a","versions":[0]}`},
		"data not object": {"kv.patch", `{"path":"a","data":[1]}`},
		"negative cas":    {"kv.write", `{"path":"a","data":{},"cas":-1}`},
		"negative depth":  {"kv.subkeys", `{"path":"a","depth":-1}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.do(t.Context(), tt.op, tt.args)
			wantCode(t, err, call.InvalidRequest)
		})
	}
}

// The structure of a secret is shown without one value of it.
func TestSubkeys(t *testing.T) {
	r := newRig(t)
	r.must(t, "kv.write", `{"path":"a","data":{"db":{"user":"u","password":"p"},"n":1}}`)
	if got := fmt.Sprint(r.must(t, "kv.subkeys", `{"path":"a"}`)["subkeys"]); got != "map[db:map[password:<nil> user:<nil>] n:<nil>]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(r.must(t, "kv.subkeys", `{"path":"a","depth":1}`)["subkeys"]); got != "map[db:<nil> n:<nil>]" {
		t.Errorf("got %s", got)
	}
}
