package wasmbin_test

import (
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/wasmbin"
)

var keep = []string{"memory", "abi", "alloc", "transform", "init", "_initialize"}

// metered loads a module as the gateway would, with nothing but wazero behind.
func metered(t testing.TB, bin []byte) (api.Module, error) {
	t.Helper()
	m, err := wasmbin.Decode(bin, wasmbin.Plain())
	if err != nil {
		return nil, err
	}
	out, err := m.Meter(128, keep...)
	if err != nil {
		return nil, err
	}
	rt := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { rt.Close(t.Context()) })
	mod, err := rt.InstantiateWithConfig(t.Context(), out, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatalf("wazero refuses the metered module: %v", err)
	}
	return mod, nil
}

// late are mistakes that only running the module, or the host, can find.
var late = map[string]bool{
	"only a header": true, "abi of another major": true, "abi spins": true, "abi missing": true, "init spins": true,
	"alloc with a wrong signature": true, "transform with a wrong signature": true, "init with a wrong signature": true,
}

func TestDecodeRefuses(t *testing.T) {
	for _, m := range abuse.Modules() {
		t.Run(m.Name, func(t *testing.T) {
			_, err := wasmbin.Decode(m.Bin, wasmbin.Plain())
			if want := m.Stage == abuse.Load && m.Name != "no memory" && !late[m.Name]; want != (err != nil) {
				t.Errorf("refused %v, want %v: %v", err != nil, want, err)
			}
		})
	}
}

func TestMeterStops(t *testing.T) {
	for _, m := range abuse.Modules() {
		if m.Stage != abuse.Call {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			mod, err := metered(t, m.Bin)
			if err != nil {
				t.Fatal(err)
			}
			fuel := mod.ExportedGlobal(wasmbin.FuelExport).(api.MutableGlobal)
			fuel.Set(4_000_000)
			_, err = mod.ExportedFunction("transform").Call(t.Context(), 1, 1024, 4)
			t.Logf("fuel left %d, %v", int64(fuel.Get()), err)
		})
	}
}
