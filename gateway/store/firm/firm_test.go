package firm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/store/dir"
	"portcullis/gateway/store/firm"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/callers"
)

// stores are the two places for documents, of which each has to do the same.
func stores(t *testing.T) map[string]firm.Store {
	t.Helper()
	d := dir.New(t.TempDir())
	if err := d.Lock(); err != nil {
		t.Fatal(err)
	}
	v := e2e.StartVault(t)
	path, err := call.ParsePath("portcullis/state")
	if err != nil {
		t.Fatal(err)
	}
	c, err := vault.New(vault.Config{
		Addr: v.Addr, Login: vault.Login{Token: call.Secret(v.Token)}, Documents: vault.Documents{Mount: "secret", Path: path},
		Children: callers.Config{PolicyFor: func(*call.Caller, string) (callers.Policies, error) { return callers.Policies{}, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]firm.Store{"file": firm.NewFile(d), "vault": firm.Vault{Client: c}, "memory": firm.NewFile(dir.New(""))}
}

func TestDocuments(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if data, version, err := s.Read(ctx, "a"); len(data) > 0 || version != 0 || err != nil {
				t.Fatalf("a document that is not there: %q, %d, %v", data, version, err)
			}
			first, err := s.Write(ctx, "a", []byte("one\n"), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range []int{0, first + 1} {
				if _, err := s.Write(ctx, "a", []byte("lost"), other); !errors.Is(err, firm.ErrChanged) {
					t.Errorf("a write behind version %d: %v, want changed", other, err)
				}
			}
			if data, version, err := s.Read(ctx, "a"); string(data) != "one\n" || version != first || err != nil {
				t.Errorf("got %q, %d, %v", data, version, err)
			}
			if data, _, err := s.Read(ctx, "b"); len(data) > 0 || err != nil {
				t.Errorf("another document: %q, %v", data, err)
			}
		})
	}
}

// TestUpdatesLoseNothing: what many write at the same time is all there.
func TestUpdatesLoseNothing(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for i := range 5 {
				wg.Go(func() {
					if _, _, err := firm.Update(t.Context(), s, "a", func(old []byte) ([]byte, error) { return fmt.Appendf(old, "%d\n", i), nil }); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			data, _, err := s.Read(t.Context(), "a")
			if got := strings.Count(string(data), "\n"); got != 5 || err != nil {
				t.Errorf("%d of 5 changes are there: %q, %v", got, data, err)
			}
		})
	}
}

func TestAFileOutlivesItsProcess(t *testing.T) {
	d := dir.New(t.TempDir())
	if err := d.Lock(); err != nil {
		t.Fatal(err)
	}
	if _, err := firm.NewFile(d).Write(context.Background(), "a", []byte("kept"), 0); err != nil {
		t.Fatal(err)
	}
	if data, version, err := firm.NewFile(d).Read(context.Background(), "a"); string(data) != "kept" || version == 0 || err != nil {
		t.Errorf("got %q, %d, %v", data, version, err)
	}
}
