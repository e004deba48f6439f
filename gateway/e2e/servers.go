package e2e

import (
	"context"
	"sync"
	"testing"

	"portcullis/gateway/e2e/stack"
)

// StartPostgres starts a PostgreSQL server for the test.
func StartPostgres(t testing.TB) *stack.Postgres {
	t.Helper()
	p, err := stack.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// StartSSHD starts an OpenSSH server for the test, which trusts a CA's public key
// and the one-time passwords of a Vault; either may be empty.
func StartSSHD(t testing.TB, ca string, v *stack.Vault) *stack.SSHD {
	t.Helper()
	s, err := stack.StartSSHD(t.Context(), stack.SSHDOptions{Dir: t.TempDir(), CA: ca, Vault: v})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stores are the Redis of each gateway that is several replicas, by its directory: one that
// is started again has the same.
var stores sync.Map

func sharedStore(t testing.TB, dir string) (url string) {
	t.Helper()
	if r, ok := stores.Load(dir); ok {
		return r.(*stack.Redis).URL()
	}
	r, err := stack.StartRedis(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	stores.Store(dir, r)
	t.Cleanup(func() { _ = r.Close() })
	return r.URL()
}
