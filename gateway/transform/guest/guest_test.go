package guest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
	"portcullis/wasm"
)

func Example() {
	engine, err := guest.NewEngine(context.Background(), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	mod, err := engine.Load(abuse.Echo(), guest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, used, err := mod.Append(nil, guest.In{Hook: guest.Log, Payload: []byte("{}"), Fuel: 1000, Limit: 100})
	fmt.Println(string(out), used.Changed, err)
	// Output: {} true <nil>
}

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

func shipped(t testing.TB, name string) []byte {
	t.Helper()
	bin, err := fs.ReadFile(wasm.Modules, name)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func input(payload string) guest.In {
	return guest.In{Hook: guest.Response, Payload: []byte(payload), Fuel: 5_000_000, Limit: 65536}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	m := load(t, abuse.Echo(), guest.Config{})
	in := input("payload")
	in.Meta = []byte("{}")
	got, out, err := m.Append([]byte("before "), in)
	if err != nil || string(got) != "before payload" || !out.Changed || out.Fuel <= 0 {
		t.Errorf("got %q, %+v, %v", got, out, err)
	}
}

// faults says how each abuse module fails when it is called.
func faults() map[string]guest.Code {
	return map[string]guest.Code{
		"infinite loop": guest.Fuel, "2^34 calls without a loop": guest.Fuel, "straight line of memory.fill": guest.Fuel,
		"deep recursion": guest.Fuel, "recursion with a large frame": guest.Fuel, "grow bomb": guest.Fuel, "pointer chase": guest.Fuel,
		"trap": guest.Trap, "division by zero": guest.Trap, "load outside memory": guest.Trap,
		"output pointer outside memory": guest.Bounds, "output pointer and length wrap": guest.Output,
		"output length is the maximum": guest.Output, "output longer than the limit": guest.Output,
		"unknown result code": guest.Result, "alloc refuses": guest.Alloc, "alloc outside memory": guest.Bounds,
		"alloc at the last byte": guest.Bounds, "alloc spins": guest.Fuel,
	}
}

func TestAbuse(t *testing.T) {
	want := faults()
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
				_, _, err := m.Append(nil, input("{}"))
				var code guest.Code
				if f := (*guest.Fault)(nil); errors.As(err, &f) {
					code = f.Code
				}
				if code != want[a.Name] {
					t.Errorf("got %q (%v), want %q", code, err, want[a.Name])
				}
			}
		})
	}
}

// TestSlowGuestsRunOutOfFuel: whatever a guest spends its time with is paid for.
func TestSlowGuestsRunOutOfFuel(t *testing.T) {
	for _, a := range abuse.Slow() {
		t.Run(a.Name, func(t *testing.T) {
			_, used, err := load(t, a.Bin, guest.Config{Pool: 1}).Append(nil, input("{}"))
			if f := (*guest.Fault)(nil); !errors.As(err, &f) || f.Code != guest.Fuel || used.Fuel < input("").Fuel {
				t.Errorf("got %v after %d units", err, used.Fuel)
			}
		})
	}
}

// TestMemoryBeforeTheFirstCall: a memory that fits into no cache is priced by what
// the module declares, so it cannot be had in another way.
func TestMemoryBeforeTheFirstCall(t *testing.T) {
	if _, err := engine(t).Load(abuse.GrowsAtStart(40), guest.Config{}); err == nil {
		t.Error("a memory of 42 pages that is not declared was accepted")
	}
	load(t, abuse.GrowsAtStart(20), guest.Config{})
}

// TestHonestCallsBesideAbuse: no abuse makes the call of another module fail, on
// one processor as on two.
func TestHonestCallsBesideAbuse(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprint(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			good := load(t, abuse.Echo(), guest.Config{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, a := range abuse.Modules() {
					if m, err := engine(t).Load(a.Bin, guest.Config{}); err == nil {
						_, _, _ = m.Append(nil, input("{}"))
					}
				}
			}()
			for calls, running := 0, true; running || calls < 100; calls++ {
				select {
				case <-done:
					running = false
				default:
				}
				if out, _, err := good.Append(nil, input("{}")); err != nil || string(out) != "{}" {
					t.Fatalf("got %q, %v", out, err)
				}
			}
		})
	}
}

// TestNothingIsLeftBehind looks for the bytes of an earlier call in what a later
// one can see. The module copies its input to a place of its own.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, pages := range []byte{2, 17, 127} {
		m := load(t, abuse.Peek(pages), guest.Config{Pool: 1})
		secret := "the secret of another caller"
		if _, _, err := m.Append(nil, input(secret)); err != nil {
			t.Fatal(err)
		}
		in := input("x")
		in.Limit = 1 << 20
		got, out, err := m.Append(nil, in)
		if err != nil || !out.Changed || len(got) < 65536 || !bytes.Contains(got, []byte("x")) {
			t.Fatalf("%d pages: got %d bytes, %v", pages, len(got), err)
		}
		if bytes.Contains(got, []byte(secret[8:])) {
			t.Errorf("%d pages: a byte of the earlier input is still in the memory", pages)
		}
	}
}

// TestMemoryIsFlat repeats every failure ten thousand times.
func TestMemoryIsFlat(t *testing.T) {
	e := engine(t)
	var modules, large []*guest.Module
	for _, a := range abuse.Modules() {
		if a.Stage == abuse.Load {
			continue
		}
		m, err := e.Load(a.Bin, guest.Config{Pool: 1, Pages: 128})
		if err != nil {
			t.Fatal(err)
		}
		if a.Name == "pointer chase" || a.Name == "straight line of memory.fill" {
			large = append(large, m)
			continue
		}
		modules = append(modules, m)
	}
	round := func(n int) {
		for i := range n {
			in := input(`{"a":1}`)
			in.Fuel = 20_000
			_, _, _ = modules[i%len(modules)].Append(nil, in)
			if i%100 == 0 { // 8 MiB each time
				_, _, _ = large[i/100%len(large)].Append(nil, in)
			}
		}
	}
	round(2000)
	before := heap()
	round(10_000)
	if after := heap(); after > before+8<<20 {
		t.Errorf("heap grew from %d to %d bytes", before, after)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestMeteringChangesNothing compares each shipped module with itself without
// metering, over ten thousand inputs.
func TestMeteringChangesNothing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"redact/redact.wasm", "mask/mask.wasm", "encode/encode.wasm", "pii/pii.wasm", "sdk/rust/module.wasm"} {
		t.Run(name, func(t *testing.T) {
			bin := shipped(t, name)
			m := load(t, bin, guest.Config{Pool: 1, Isolation: guest.Pooled, Logs: true, Counters: []string{}})
			plain := unmetered(t, bin)
			meta := []byte(`{"args":{"as":"hex","keys":["*a*","pass*"]}}`)
			for range 2000 {
				payload := mutate(rnd)
				in := guest.In{Hook: guest.Response, Meta: meta, Payload: payload, Fuel: 1 << 40, Limit: 1 << 20}
				got, _, err := m.Append(nil, in)
				want, failed := plain(meta, payload)
				if failed != (err != nil) || !bytes.Equal(got, want) {
					t.Fatalf("%q: metered gives %q (%v), the original %q", payload, got, err, want)
				}
			}
		})
	}
}

// unmetered runs a module as it is, in an instance of its own for each failure.
func unmetered(t *testing.T, bin []byte) func(meta, payload []byte) ([]byte, bool) {
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfig().WithMemoryLimitPages(128))
	t.Cleanup(func() { rt.Close(t.Context()) })
	unheard := func(context.Context, uint32, uint32, uint32) {}
	if _, err := rt.NewHostModuleBuilder(guest.HostModule).NewFunctionBuilder().WithFunc(unheard).Export("log").
		NewFunctionBuilder().WithFunc(unheard).Export("count").Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	compiled, err := rt.CompileModule(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	var mod api.Module
	start := func() {
		if mod, err = rt.InstantiateModule(t.Context(), compiled, wazero.NewModuleConfig().WithName("")); err != nil {
			t.Fatal(err)
		}
		if fn := mod.ExportedFunction("init"); fn != nil {
			if _, err := fn.Call(t.Context(), 0, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	start()
	return func(meta, payload []byte) ([]byte, bool) {
		in := binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))
		in = append(append(in, meta...), payload...)
		p, _ := mod.ExportedFunction("alloc").Call(t.Context(), uint64(len(in)))
		mod.Memory().Write(uint32(p[0]), in)
		r, err := mod.ExportedFunction("transform").Call(t.Context(), 3, p[0], uint64(len(in)))
		if err != nil {
			mod.Close(t.Context())
			start()
			return nil, true
		}
		if r[0]>>32 == 0 {
			return nil, r[0] != 0
		}
		out, _ := mod.Memory().Read(uint32(r[0]>>32), uint32(r[0]))
		return bytes.Clone(out), false
	}
}

// mutate makes inputs that are mostly, but not always, JSON.
func mutate(rnd *rand.Rand) []byte {
	parts := []string{
		`{"password":"hunter2"`, `,"a":`, `"b\"c\\"`, `{"data":{"pass":`, `}}`, `[1,2,`, `]`, `}`, `"\ud83d\ude00\n"`, `hvs.CAESIJ4example0example0`,
		`-12.5e3`, `null`, `:`, `,`, `"`, `\`, ` `, `bob@example.org`, `4111 1111 1111 1111`, `DE89370400440532013000`, `eyJhbGciOi.x.y`, "\xff", "é",
	}
	var out []byte
	for range rnd.IntN(30) {
		out = append(out, parts[rnd.IntN(len(parts))]...)
	}
	return out
}

// FuzzLoader: no bytes make the loader panic, and what loads can be called.
func FuzzLoader(f *testing.F) {
	for _, m := range abuse.Modules() {
		f.Add(m.Bin)
	}
	f.Add(shipped(f, "mask/mask.wasm"))
	f.Fuzz(func(t *testing.T, bin []byte) {
		e, err := guest.NewEngine(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		m, err := e.Load(bin, guest.Config{Pool: 1, Pages: 16})
		if err != nil {
			return
		}
		in := input(`{"a":1}`)
		in.Fuel = 100_000
		if out, _, err := m.Append(nil, in); len(out) > in.Limit || err != nil && out != nil {
			t.Errorf("%d bytes of output, %v", len(out), err)
		}
	})
}

// FuzzBoundary: no answer of a guest makes the host read or write outside its
// memory, or return more than was allowed.
func FuzzBoundary(f *testing.F) {
	for _, p := range []int32{0, 1, -1, 1024, 131071, 131072, -8} {
		for _, r := range []int64{0, 1, 16, -1, 1024<<32 | 8, 1024<<32 | 0xffffffff, -1 << 32, 131071<<32 | 1, 131071<<32 | 2, 1 << 32} {
			f.Add(p, r, []byte(`{"a":1}`), 100)
		}
	}
	f.Fuzz(func(t *testing.T, alloc int32, result int64, payload []byte, limit int) {
		e, err := guest.NewEngine(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		m, err := e.Load(abuse.Answer(alloc, result), guest.Config{Pool: 1})
		if err != nil {
			return
		}
		limit = max(0, min(limit, 1<<20))
		out, used, err := m.Append(nil, guest.In{Hook: guest.Log, Payload: payload, Fuel: 10_000, Limit: limit})
		if len(out) > limit || err != nil && len(out) > 0 || !used.Changed && len(out) > 0 {
			t.Errorf("%d bytes of output with a limit of %d, %+v, %v", len(out), limit, used, err)
		}
	})
}
