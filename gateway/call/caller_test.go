package call_test

import (
	"testing"

	"portcullis/gateway/call"
)

// TestAKeyFollowsTheName: a key that is kept is that of the caller it was kept for, and
// asking for it allocates nothing.
func TestAKeyFollowsTheName(t *testing.T) {
	c := &call.Caller{Tenant: "a", Subject: "b"}
	c.KeepKey()
	if n := testing.AllocsPerRun(10, func() { _ = c.Key() }); n != 0 || c.Key() != "a/b" {
		t.Errorf("got %q with %v allocations", c.Key(), n)
	}
	for _, other := range []call.Caller{{Tenant: "x", Subject: "b"}, {Tenant: "a", Subject: "x"}, {Subject: "b"}, {Subject: "/b"}, {Tenant: "a/", Subject: ""}, {}} {
		named := *c
		named.Tenant, named.Subject = other.Tenant, other.Subject
		if got, want := named.Key(), other.Tenant+"/"+other.Subject; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
