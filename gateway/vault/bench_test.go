package vault_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// BenchmarkRead reads one secret of a real Vault: with net/http alone, with a
// session, with a session of a caller's own token, and through the read cache.
func BenchmarkRead(b *testing.B) {
	v := vaulttest.Start(b)
	v.Write("secret/data/mcp/bench/app", map[string]any{"data": map[string]string{"value": "v"}})
	b.Run("net/http", func(b *testing.B) { direct(b, v) })
	for name, c := range map[string]vault.Config{
		"session": {}, "session, own token": {Children: children()}, "session, cache": {CacheTTL: time.Hour},
	} {
		b.Run(name, func(b *testing.B) {
			c.Addr, c.Login = v.Addr, approle(v)
			cl := newClient(b, c)
			who := caller("bench")
			b.ReportAllocs()
			for b.Loop() {
				var reply secret
				if err := open(b, cl, resource(who, "kv.read")).Get(b.Context(), "data/mcp/bench/app", nil, &reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func direct(b *testing.B, v *vaulttest.Vault) {
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, v.Addr+"/v1/secret/data/mcp/bench/app", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("X-Vault-Token", v.Token)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var reply struct {
			Data struct {
				Data json.RawMessage `json:"data"`
			} `json:"data"`
		}
		if err != nil || json.Unmarshal(raw, &reply) != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNeighbour measures what one caller waits while another has 500 slow
// calls under way. The slow ones take a second each at the way to
// Vault, so that what is measured is the waiting and not Vault's load.
func BenchmarkNeighbour(b *testing.B) {
	v := vaulttest.Start(b)
	p := vaulttest.StartProxy(b, v.Addr)
	v.Write("secret/data/mcp/quick/app", map[string]any{"data": map[string]string{"value": "v"}})
	v.Write("secret/data/mcp/slow/app", map[string]any{"data": map[string]string{"value": "v"}})
	p.Break(vaulttest.Fault{Match: "/mcp/slow/", Delay: time.Second})
	cl := newClient(b, vault.Config{Addr: p.Addr, Login: approle(v)})
	b.Run("alone", func(b *testing.B) { quick(b, cl) })
	b.Run("beside 500 slow calls", func(b *testing.B) {
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				for !stop.Load() {
					_, _ = read(b, cl, caller("slow")) // some are refused, which is what the gate is for
				}
			})
		}
		quick(b, cl)
		stop.Store(true)
		wg.Wait()
	})
}

func quick(b *testing.B, cl *vault.Client) {
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := read(b, cl, caller("quick")); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
