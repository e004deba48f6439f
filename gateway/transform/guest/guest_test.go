package guest_test

import (
	"errors"
	"testing"

	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
)

// engine compiles without a cache, so that tests share nothing.
func engine(t testing.TB) *guest.Engine {
	t.Helper()
	e, err := guest.NewEngine(t.Context(), "")
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

func load(t testing.TB, bin []byte, cfg guest.Config) *guest.Module {
	t.Helper()
	m, err := engine(t).Load(bin, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func input(payload string) guest.In {
	return guest.In{Hook: guest.Response, Payload: []byte(payload), Fuel: 4_000_000, Limit: 65536}
}

func TestEcho(t *testing.T) {
	m := load(t, abuse.Echo(), guest.Config{})
	got, out, err := m.Append([]byte("before "), input("payload"))
	if err != nil || string(got) != "before payload" || !out.Changed || out.Fuel <= 0 {
		t.Errorf("got %q, %+v, %v", got, out, err)
	}
}

func TestAbuse(t *testing.T) {
	for _, a := range abuse.Modules() {
		t.Run(a.Name, func(t *testing.T) {
			m, err := engine(t).Load(a.Bin, guest.Config{})
			if (err != nil) != (a.Stage == abuse.Load) {
				t.Fatalf("load: %v", err)
			}
			if err != nil {
				return
			}
			for range 3 {
				got, out, err := m.Append(nil, input("{}"))
				var fault *guest.Fault
				failed := errors.As(err, &fault)
				if a.Stage == abuse.Harmless && failed {
					t.Errorf("call: %v", err)
				}
				t.Logf("%q %+v %v", got, out, err)
			}
		})
	}
}

// BenchmarkWorstCase shows how long one call can hold a thread.
func BenchmarkWorstCase(b *testing.B) {
	for _, a := range abuse.Modules() {
		if a.Stage != abuse.Call {
			continue
		}
		b.Run(a.Name, func(b *testing.B) {
			m := load(b, a.Bin, guest.Config{Pool: 1, Isolation: guest.Pooled})
			var used int64
			for b.Loop() {
				_, out, _ := m.Append(nil, input("{}"))
				used += out.Fuel
			}
			b.ReportMetric(float64(used)/float64(b.N), "fuel/op")
		})
	}
}
