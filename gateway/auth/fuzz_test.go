package auth_test

import (
	"testing"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// FuzzAuthorization sends any headers. None of them may be let in, and every
// refusal says why.
func FuzzAuthorization(f *testing.F) {
	w := newWorld(f)
	for _, s := range [][2]string{
		{"Bearer x", ""}, {"DPoP a.b.c", "x"}, {"bearer  x", ""}, {"Basic eA==", ""}, {"", ""}, {"Bearer " + w.good(map[string]any{"exp": 1}), ""}, {"Bearer\tx", "\x00"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, authorization, proof string) {
		r := w.get(header("Authorization", authorization), header("DPoP", proof))
		c, err := w.chain.Authenticate(r)
		if err == nil {
			t.Fatalf("%q is let in as %s", authorization, c.Key())
		}
		e := call.AsError(err)
		if rule.Of(err) == "" || e.Code != call.Unauthenticated || w.chain.Challenge(r, e, "") == "" {
			t.Errorf("%q: got %v", authorization, err)
		}
	})
}
