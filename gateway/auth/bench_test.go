package auth_test

import (
	"net/http"
	"testing"

	"portcullis/gateway/auth/authtest"
)

// BenchmarkAuthenticate measures whole authentications, from the headers to the
// caller.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	rs := func() string { return w.rs.Sign(authtest.Claims("bot", nil)) }
	es := func() string { return w.es.Sign(authtest.Claims("bot", nil)) }
	for _, c := range []struct {
		name string
		req  *http.Request
	}{
		{"jwt-rs256-cached", w.get(bearer(rs()))},
		{"jwt-es256-cached", w.get(bearer(es()))},
		{"api-key", w.get(header("X-API-Key", apiKey))},
		{"mtls", w.get(with(w.client))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.chain.Authenticate(c.req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, sign := range map[string]func() string{"jwt-rs256": rs, "jwt-es256": es} {
		b.Run(name+"-uncached", func(b *testing.B) { w.uncached(b, sign) })
	}
}

// uncached presents each token once.
func (w *world) uncached(b *testing.B, sign func() string) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		r := w.get(bearer(sign()))
		b.StartTimer()
		if _, err := w.chain.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProof(b *testing.B) {
	w := newWorld(b)
	token := w.jkt()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		r := w.get(bound(token, w.holder.Proof("GET", gwURL, token, nil)))
		b.StartTimer()
		if _, err := w.chain.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTheRememberedTokenIsCheap holds the cost of the usual call in allocations.
func TestTheRememberedTokenIsCheap(t *testing.T) {
	w := newWorld(t)
	r := w.get(bearer(w.good(nil)))
	n := testing.AllocsPerRun(1000, func() {
		if _, err := w.chain.Authenticate(r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 5 {
		t.Errorf("got %v allocations, want at most 5", n)
	}
}
