package e2e

import (
	"context"
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

// sharedStore starts the Redis of a gateway that is several replicas.
func sharedStore(t testing.TB) (url string) {
	t.Helper()
	r, err := stack.StartRedis(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r.URL()
}
