package guest

import (
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
)

// Isolation is what separates one call from the next.
type Isolation string

const (
	// Reset restores memory and globals after each call. It is the default: a
	// module can keep nothing.
	Reset Isolation = "reset"
	// Pooled clears the buffers of the call only. It is for modules whose source
	// is known, on hooks where a microsecond counts.
	Pooled Isolation = "pooled"
	// Fresh makes a new instance for each call.
	Fresh Isolation = "fresh"
)

const (
	plainPages = 128
	stubPages  = 256
	// recycle replaces an instance after that many calls.
	recycle = 100_000
)

// Config is how a module is run. Zero values mean the defaults.
type Config struct {
	// Stub provides the system interface that guests built with Go expect.
	Stub bool
	// Pages caps the memory, at most 128, or 256 with Stub.
	Pages     uint32
	Isolation Isolation
	// Logs lets the guest log lines, and Counters are the names under which it may count;
	// nil for a guest that may not.
	Logs     bool
	Counters []string
	// Init is given to the guest's init, once per instance.
	Init []byte
	// Pool is the number of instances, by default one per processor. More would
	// not run at the same time, and calls that wait here hold no processor.
	Pool int
	// Wait bounds how long a call waits for an instance.
	Wait time.Duration
}

// Module is a loaded module and its instances.
type Module struct {
	engine   *Engine
	compiled wazero.CompiledModule
	cfg      Config
	globals  []string
	imports  bool // it imports of the gateway
	pool     *pool
	// start is the most memory in bytes that an instance may have before its
	// first call, and after one if it is to be used again.
	start uint32
	// image is the state to return to, with Reset. The first instance sets it.
	image *image
}

// Load decodes, checks, meters and compiles a module, and starts its instances.
func (e *Engine) Load(bin []byte, cfg Config) (*Module, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	decoded, err := e.Inspect(bin, cfg.Stub)
	if err != nil {
		return nil, err
	}
	imports, err := cfg.permits(decoded)
	if err != nil {
		return nil, err
	}
	metered, err := decoded.Meter(cfg.Pages, kept()...)
	if err != nil {
		return nil, err
	}
	if cfg.Stub {
		if err := e.provide(); err != nil {
			return nil, fmt.Errorf("system interface: %w", err)
		}
	}
	if imports {
		if err := e.provideHost(); err != nil {
			return nil, fmt.Errorf("interface of the gateway: %w", err)
		}
	}
	m := &Module{
		engine: e, cfg: cfg, imports: imports, globals: decoded.MutableNames(), pool: newPool(cfg.Pool, cfg.Wait),
		start: max(decoded.Memory.Min, decoded.Near) << 16,
	}
	if m.compiled, err = compile(e.ctx, e.rt, metered); err != nil {
		return nil, fmt.Errorf("metered module: %w", err)
	}
	return m, m.prefill()
}

func (c *Config) fill() error {
	limit := uint32(plainPages)
	if c.Stub {
		limit = stubPages
	}
	if c.Pages == 0 {
		c.Pages = limit
	}
	if c.Pages > limit {
		return fmt.Errorf("%d pages of memory, at most %d are allowed", c.Pages, limit)
	}
	if c.Isolation == "" {
		c.Isolation = Reset
	}
	if c.Pool == 0 {
		c.Pool = runtime.GOMAXPROCS(0)
	}
	if c.Wait == 0 {
		c.Wait = time.Second
	}
	return nil
}

func (m *Module) prefill() error {
	for range m.cfg.Pool {
		in, err := m.newInstance()
		if err != nil {
			return err
		}
		m.pool.put(in)
	}
	return nil
}

// take waits for a slot and makes sure that there is an instance in it.
func (m *Module) take() (*instance, error) {
	in, err := m.pool.get()
	if err != nil || in != nil {
		return in, err
	}
	if in, err = m.newInstance(); err != nil {
		m.pool.put(nil)
		return nil, &Fault{Start, err}
	}
	return in, nil
}

// give returns an instance after a call. One that failed is never used again.
func (m *Module) give(in *instance, failed bool) {
	in.calls++
	if failed || m.cfg.Isolation == Fresh || in.calls > recycle || !in.clean() {
		in.close()
		in = nil
	}
	m.pool.put(in)
}
