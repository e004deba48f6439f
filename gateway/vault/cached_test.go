package vault_test

import (
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// resource grants an operation on the secret that put and read are about.
func resource(c *call.Caller, op string) call.Grant {
	p, err := call.ParsePath(c.Prefix.String() + "/app")
	if err != nil {
		panic(err)
	}
	return call.Mint(c, call.Terms{Op: op, Resource: call.Resource{Mount: "secret", Path: p}})
}

func TestReadCache(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), CacheTTL: time.Hour, Children: children()})
	c := caller("cached")
	path := "data/" + c.Prefix.String() + "/app"
	look := func(g call.Grant) (string, vault.CacheUse) {
		t.Helper()
		var reply secret
		s := open(t, cl, g)
		if err := s.Get(t.Context(), path, nil, &reply); err != nil {
			t.Fatal(err)
		}
		return reply.Data["value"], s.Cached()
	}
	change := func(value string) {
		t.Helper()
		body := map[string]any{"data": map[string]string{"value": value}}
		if err := open(t, cl, resource(c, "kv.write")).Put(t.Context(), path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	change("1")
	for i, want := range []bool{false, true, true} {
		if got, use := look(resource(c, "kv.read")); got != "1" || !use.Asked || use.Hit != want {
			t.Errorf("read %d: got %s, %+v", i, got, use)
		}
	}
	if n := v.Count("secret/" + path); n != 2 {
		t.Errorf("%d requests reached Vault, want the write and one read", n)
	}
	change("2")
	if got, use := look(resource(c, "kv.read")); got != "2" || use.Hit {
		t.Errorf("after a write: got %s, %+v", got, use)
	}
	if _, use := look(resource(c, "kv.metadata")); use.Asked {
		t.Errorf("another operation asked the cache")
	}
	wrapping := open(t, cl, resource(c, "kv.read"))
	wrapping.WrapAnswer()
	if err := wrapping.Get(t.Context(), path, nil, nil); wrapping.Cached().Asked || err == nil {
		t.Errorf("a wrapped answer came from the cache: %v", err)
	}
	off := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v)})
	s := open(t, off, resource(c, "kv.read"))
	if err := s.Get(t.Context(), path, nil, nil); err != nil || s.Cached().Asked {
		t.Errorf("without a cache: %v, %+v", err, s.Cached())
	}
}
