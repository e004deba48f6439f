package ops_test

import (
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops/opstest"
)

// FuzzBind binds any arguments to any operation. What is accepted names a clean
// resource, below the caller's own unless the policy is shown a full path, and shows no
// secret to the policy.
func FuzzBind(f *testing.F) {
	for _, c := range opstest.Calls("app") {
		f.Add(c.Op, c.Args)
	}
	for _, field := range opstest.Fields() {
		for _, value := range opstest.BadNames() {
			f.Add(field.Op, strings.ReplaceAll(field.Args, "?", quote(value)))
		}
	}
	var c *op.Catalogue
	f.Fuzz(func(t *testing.T, name, args string) {
		if c == nil {
			c = catalogue(t)
		}
		b, err := c.Bind(&op.Request{Op: name, Args: []byte(args), Caller: caller("agent")})
		if err != nil {
			e := call.AsError(err)
			if e.Code == call.Internal || strings.Contains(e.Msg, opstest.Marker) {
				t.Errorf("%s %q: got %v", name, args, err)
			}
			return
		}
		p := b.Resource.Path
		if again, err := call.ParsePath(p.String()); err != nil && !p.IsZero() || again != p {
			t.Errorf("%s %q: the resource is %q", name, args, p)
		}
		values, err := b.Values()
		if b.Op.Engine == "kv" && b.Parts() == nil && !p.Within(b.Caller.Prefix) && !strings.Contains(string(values), call.Scheme) {
			t.Errorf("%s %q: %q is not the caller's, and the policy sees %s", name, args, p, values)
		}
		if err != nil || strings.Contains(args, opstest.Marker) && b.Op.Engine == "transit" && strings.Contains(string(values), opstest.Marker) {
			t.Errorf("%s %q: the policy sees %s %v", name, args, values, err)
		}
	})
}
