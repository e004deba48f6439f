package wasmbin_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/wasmbin"
	"portcullis/wasm"
)

func Example() {
	m, err := wasmbin.Decode(abuse.Echo(), wasmbin.Plain())
	if err != nil {
		fmt.Println(err)
		return
	}
	metered, err := m.Meter(16, "memory", "abi", "alloc", "transform")
	fmt.Println(m.Memory.Min, len(m.Exports), len(metered) > m.Size, err)
	// Output: 2 4 true <nil>
}

func keep() []string { return []string{"memory", "abi", "alloc", "transform", "init", "_initialize"} }

// metered loads a module as the gateway would, with nothing but wazero behind.
func metered(t testing.TB, bin []byte) api.Module {
	t.Helper()
	m, err := wasmbin.Decode(bin, wasmbin.Plain())
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Meter(128, keep()...)
	if err != nil {
		t.Fatal(err)
	}
	rt := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { rt.Close(t.Context()) })
	mod, err := rt.InstantiateWithConfig(t.Context(), out, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatalf("wazero refuses the metered module: %v", err)
	}
	return mod
}

func TestDecodeRefuses(t *testing.T) {
	// These are mistakes of the interface, not of the binary.
	late := map[string]bool{
		"only a header": true, "no memory": true, "abi of another major": true, "abi spins": true, "abi missing": true,
		"init spins": true, "alloc with a wrong signature": true, "transform with a wrong signature": true,
		"init with a wrong signature": true,
	}
	for _, m := range abuse.Modules() {
		t.Run(m.Name, func(t *testing.T) {
			_, err := wasmbin.Decode(m.Bin, wasmbin.Plain())
			if want := m.Stage == abuse.Load && !late[m.Name]; want != (err != nil) {
				t.Errorf("refused %v, want %v: %v", err != nil, want, err)
			}
		})
	}
}

func TestMeterStops(t *testing.T) {
	const budget = 1_000_000
	spends := map[string]bool{
		"infinite loop": true, "2^34 calls without a loop": true, "straight line of memory.fill": true, "deep recursion": true,
		"recursion with a large frame": true, "grow bomb": true, "pointer chase": true,
	}
	for _, m := range abuse.Modules() {
		if m.Stage != abuse.Call {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			mod := metered(t, m.Bin)
			fuel := mod.ExportedGlobal(wasmbin.FuelExport).(api.MutableGlobal)
			fuel.Set(budget)
			_, err := mod.ExportedFunction("transform").Call(t.Context(), 3, 1024, 4)
			if out := int64(fuel.Get()) < 0; out != spends[m.Name] {
				t.Errorf("out of fuel %v, want %v: %v", out, spends[m.Name], err)
			}
			if spends[m.Name] && err == nil {
				t.Error("went on without fuel")
			}
		})
	}
}

func TestMeterHidesTheCounter(t *testing.T) {
	mod := metered(t, abuse.Echo())
	for name := range mod.ExportedFunctionDefinitions() {
		if name != "abi" && name != "alloc" && name != "transform" {
			t.Errorf("export %s is still there", name)
		}
	}
	m, err := wasmbin.Decode(abuse.Echo(), wasmbin.Plain())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Meter(1); err == nil {
		t.Error("a memory above the limit was accepted")
	}
}

// TestMeterIsDeterministic: what an input costs does not change.
func TestMeterIsDeterministic(t *testing.T) {
	mod := metered(t, abuse.Echo())
	fuel := mod.ExportedGlobal(wasmbin.FuelExport).(api.MutableGlobal)
	var first uint64
	for i := range 3 {
		fuel.Set(1000)
		if _, err := mod.ExportedFunction("transform").Call(t.Context(), 3, 1024, 4); err != nil {
			t.Fatal(err)
		}
		if left := fuel.Get(); i == 0 {
			first = left
		} else if left != first || left >= 1000 {
			t.Errorf("call %d left %d, the first one %d", i, left, first)
		}
	}
}

// TestMovesArePaid: moving values between locals, and taking them along to a
// function, is work like any other.
func TestMovesArePaid(t *testing.T) {
	const n = 90
	var set, get []byte
	for i := range n {
		set = append(set, 0x20, byte((i+1)%n), 0x21, byte(i)) // local.get, local.set
		get = append(get, 0x20, byte(i))
	}
	params := string(bytes.Repeat([]byte{wasmbin.I64}, n))
	for name, code := range map[string][]byte{"locals": set, "call": append(get, 0x10, 1)} {
		t.Run(name, func(t *testing.T) {
			g := abuse.Guest{Memory: []byte{0, 1}, Funcs: []abuse.Func{
				{Export: "transform", Params: params, Code: code}, {Params: params},
			}}
			mod := metered(t, g.Assemble())
			fuel := mod.ExportedGlobal(wasmbin.FuelExport).(api.MutableGlobal)
			fuel.Set(10_000)
			if _, err := mod.ExportedFunction("transform").Call(t.Context(), make([]uint64, n)...); err != nil {
				t.Fatal(err)
			}
			if used := 10_000 - fuel.Get(); used < 2*n {
				t.Errorf("%d values cost %d units", n, used)
			}
		})
	}
}

func TestSectionSizeAsLinkersWriteIt(t *testing.T) {
	bin := abuse.Echo()
	padded := bytes.Join([][]byte{bin[:9], {bin[9] | 0x80, 0x80, 0x80, 0x80, 0}, bin[10:]}, nil)
	if _, err := wasmbin.Decode(padded, wasmbin.Plain()); err != nil {
		t.Errorf("five bytes: %v", err)
	}
	short := bytes.Join([][]byte{bin[:9], {bin[9] | 0x80, 0}, bin[10:]}, nil)
	if _, err := wasmbin.Decode(short, wasmbin.Plain()); err == nil {
		t.Error("two bytes were accepted for a number that needs one")
	}
}

func seeds(f *testing.F) {
	for _, m := range abuse.Modules() {
		f.Add(m.Bin)
	}
	for _, name := range []string{"redact/redact.wasm", "mask/mask.wasm", "sdk/rust/module.wasm"} {
		bin, err := fs.ReadFile(wasm.Modules, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bin)
	}
}

// FuzzInjector holds metering to two rules: what wazero accepted before it accepts
// after, and the result is itself a module that the decoder accepts.
func FuzzInjector(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, bin []byte) {
		m, err := wasmbin.Decode(bin, wasmbin.Plain())
		if err != nil || !accepts(t, bin) {
			return
		}
		out, err := m.Meter(128, keep()...)
		if err != nil {
			return
		}
		if !accepts(t, out) {
			t.Fatalf("wazero accepts %x and refuses it metered: %x", bin, out)
		}
		lim := wasmbin.Plain()
		lim.Weight *= 1000
		lim.Size, lim.Body, lim.Locals, lim.Exports, lim.Globals = 8*lim.Size, 8*lim.Body, lim.Locals+2, lim.Exports+lim.Globals+1, lim.Globals+1
		if _, err := wasmbin.Decode(out, lim); err != nil {
			t.Fatalf("metered module cannot be decoded: %v", err)
		}
	})
}

func accepts(t *testing.T, bin []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(t.Context())
	_, err := rt.CompileModule(t.Context(), bin)
	return err == nil
}
