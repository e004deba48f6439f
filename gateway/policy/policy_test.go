package policy_test

import (
	"sync"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
)

// at is when the tests' calls come in.
func at() time.Time { return time.Unix(1_700_000_000, 0) }

// shared is the catalogue of most tests; nothing changes one.
var shared = sync.OnceValues(func() (*op.Catalogue, error) {
	return ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
})

func catalogue(t testing.TB) *op.Catalogue {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open opens an engine on a directory.
func open(t testing.TB, c policy.Config) *policy.Engine {
	t.Helper()
	if c.Catalogue == nil {
		c.Catalogue = catalogue(t)
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second // a busy machine is no policy timeout
	}
	e, err := policy.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func path(t testing.TB, s string) call.Path {
	t.Helper()
	p, err := call.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// agent is the development caller.
func agent(t testing.TB, scopes ...string) *call.Caller {
	t.Helper()
	if scopes == nil {
		scopes = []string{"read", "list", "write", "delete"}
	}
	return &call.Caller{Subject: "agent_api", Kind: "agent", Scopes: scopes, Prefix: path(t, "mcp/agent_api"), Method: call.APIKey}
}

// bind binds a call of an operation.
func bind(t testing.TB, c *call.Caller, name, args string) *op.Bound {
	t.Helper()
	b, err := catalogue(t).Bind(&op.Request{Op: name, Caller: c, Args: []byte(args), Time: at(), ID: "r1", Transport: op.REST})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// full binds a call whose path is a full one.
func full(t testing.TB, c *call.Caller, name, args string) *op.Bound {
	t.Helper()
	b, err := catalogue(t).Bind(&op.Request{Op: name, Caller: c, Args: []byte(args), Time: at(), Absolute: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
