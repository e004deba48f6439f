package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"portcullis/gateway/transform/wasmbin"
)

// plainStart bounds what an instance may spend before its first call, on
// _initialize, abi and init. A Go runtime needs wasmbin.StartFuel for that.
const plainStart = 1_000_000

// instance is one memory with its functions. It serves one call at a time.
type instance struct {
	m         *Module
	mod       api.Module
	mem       api.Memory
	linear    *memory
	fuel      api.MutableGlobal
	alloc     api.Function
	transform api.Function
	stack     [3]uint64
	calls     int
	// globals are what is restored beside the memory, with Reset.
	globals []api.MutableGlobal
	// in and out are the buffers of the call that runs.
	in, out [2]uint32
	ctx     context.Context // of every call
	emitted *Emitted        // in the call that runs
}

func (m *Module) newInstance() (*instance, error) {
	in := &instance{m: m, ctx: m.engine.calls}
	if m.imports {
		in.ctx = hostContext{m.engine.calls, in}
	}
	ctx := experimental.WithMemoryAllocator(m.engine.ctx, experimental.MemoryAllocatorFunc(func(_, limit uint64) experimental.LinearMemory {
		in.linear = allocate(limit)
		return in.linear
	}))
	mod, err := m.engine.rt.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		if in.linear != nil {
			in.linear.Free()
		}
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	in.mod, in.mem = mod, mod.Memory()
	in.fuel, _ = mod.ExportedGlobal(wasmbin.FuelExport).(api.MutableGlobal)
	in.alloc, in.transform = mod.ExportedFunction("alloc"), mod.ExportedFunction("transform")
	if err := in.start(); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// start runs everything that comes before the first call, on one budget.
func (in *instance) start() error {
	in.fuel.Set(plainStart)
	if in.m.cfg.Stub {
		in.fuel.Set(wasmbin.StartFuel)
	}
	if fn := in.mod.ExportedFunction("_initialize"); fn != nil {
		if err := in.run(fn, 0); err != nil {
			return fmt.Errorf("_initialize: %w", err)
		}
	}
	if err := in.run(in.mod.ExportedFunction("abi"), 0); err != nil {
		return fmt.Errorf("abi: %w", err)
	}
	if major := uint32(in.stack[0]) >> 16; major != Major {
		return fmt.Errorf("built for version %d of the interface, this host has %d", major, Major)
	}
	if err := in.configure(); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if in.mem.Size() > in.m.start {
		return fmt.Errorf("memory grew to %d pages before the first call, beyond %d it must be declared", in.mem.Size()>>16, in.m.start>>16)
	}
	return in.snapshot()
}

// configure passes the configuration to init, {} without one. A guest without
// init takes none.
func (in *instance) configure() error {
	fn := in.mod.ExportedFunction("init")
	conf := in.m.cfg.Init
	if fn == nil && len(conf) > 0 {
		return errors.New("module takes no configuration")
	}
	if fn == nil {
		return nil
	}
	if len(conf) == 0 {
		conf = []byte("{}")
	}
	p, err := in.reserve(len(conf))
	if err != nil {
		return err
	}
	if !in.mem.Write(p, conf) {
		return &Fault{Code: Bounds}
	}
	in.stack[0], in.stack[1] = uint64(p), uint64(len(conf))
	if err := in.run(fn, 2); err != nil {
		return err
	}
	if r := in.stack[0]; r != 0 {
		return &Fault{Code: guestCode(uint32(r))}
	}
	return nil
}

// snapshot keeps the state after the start. A Go guest grows its memory when it
// first allocates; that belongs to the start, or each call would repeat it.
func (in *instance) snapshot() error {
	if in.m.cfg.Isolation != Reset {
		return nil
	}
	if in.m.cfg.Stub {
		if _, err := in.reserve(metaSize); err != nil {
			return err
		}
	}
	for _, name := range in.m.globals {
		g, _ := in.mod.ExportedGlobal(name).(api.MutableGlobal)
		in.globals = append(in.globals, g)
	}
	if in.m.image == nil {
		in.m.image = capture(in.linear.buf, in.globals)
	}
	return nil
}

// clean removes what the last call left behind. It reports false when that is
// not possible, because a memory cannot shrink.
func (in *instance) clean() bool {
	if in.m.cfg.Isolation == Pooled {
		in.wipe(in.in)
		if in.out[0] < in.in[0] || in.out[0]+in.out[1] > in.in[0]+in.in[1] {
			in.wipe(in.out)
		}
		return in.mem.Size() <= in.m.start
	}
	return in.m.image.restore(in.linear, in.globals)
}

func (in *instance) wipe(buf [2]uint32) {
	if view, ok := in.mem.Read(buf[0], buf[1]); ok {
		clear(view)
	}
}

// run calls fn with n parameters from the stack and tells fuel from other traps.
func (in *instance) run(fn api.Function, n int) error {
	if err := fn.CallWithStack(in.ctx, in.stack[:max(n, 1)]); err != nil {
		if int64(in.fuel.Get()) < 0 {
			return &Fault{Code: Fuel}
		}
		return &Fault{Trap, err}
	}
	return nil
}

// reserve asks the guest for n bytes. It does not believe the answer.
func (in *instance) reserve(n int) (uint32, error) {
	in.stack[0] = uint64(n)
	if err := in.run(in.alloc, 1); err != nil {
		return 0, err
	}
	p := uint32(in.stack[0])
	if p == 0 {
		return 0, &Fault{Code: Alloc}
	}
	if uint64(p)+uint64(n) > uint64(in.mem.Size()) {
		return 0, &Fault{Code: Bounds}
	}
	return p, nil
}

func (in *instance) close() { _ = in.mod.Close(in.m.engine.ctx) }
