package policy_test

import (
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// BenchmarkDecide is a decision on a caller's own secret, from the cache and without
// one; portcullis policy bench has more cases and their ratios.
func BenchmarkDecide(b *testing.B) {
	for name, size := range map[string]int{"cached": 0, "uncached": -1} {
		b.Run(name, func(b *testing.B) {
			e, err := policy.Open(policy.Config{Catalogue: catalogue(b), CacheSize: size, Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			bound := bind(b, agent(b), "kv.read", `{"path":"app"}`)
			b.ReportAllocs()
			for b.Loop() {
				if d := e.Decide(b.Context(), bound); !d.Allow {
					b.Fatalf("denied: %+v", d)
				}
			}
		})
	}
}

// BenchmarkDecideLogged is a cached decision with the decision log, its writing included:
// what one costs over BenchmarkDecide is what the log costs.
func BenchmarkDecideLogged(b *testing.B) {
	e, err := policy.Open(policy.Config{Catalogue: catalogue(b), Timeout: time.Minute, LogFile: filepath.Join(b.TempDir(), "decisions.jsonl"), LogMaxBytes: 64 << 20, LogKeep: 1})
	if err != nil {
		b.Fatal(err)
	}
	bound := bind(b, agent(b), "kv.read", `{"path":"app"}`)
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		if d := e.Decide(b.Context(), bound); !d.Allow {
			b.Fatalf("denied: %+v", d)
		}
		if n%1000 == 0 {
			e.Flush()
		}
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBind is the way from arguments to the value that is decided on.
func BenchmarkBind(b *testing.B) {
	c, who := catalogue(b), agent(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Bind(&op.Request{Op: "kv.read", Caller: who, Args: []byte(`{"path":"app"}`), Transport: op.REST}); err != nil {
			b.Fatal(err)
		}
	}
}
