package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/tetratelabs/wazero"

	"portcullis/gateway/transform/wasmbin"
)

// Engine compiles and runs the modules of one generation. Closing it ends all
// of them.
type Engine struct {
	// ctx is never cancelled.
	ctx context.Context
	// calls is the context of every call: none can be cancelled, and none has
	// values to look for.
	calls context.Context
	rt    wazero.Runtime
	cache wazero.CompilationCache
	// check validates with the interpreter, which costs a tenth of compiling.
	check wazero.Runtime
	// system guards the creation of the stub system interface.
	system sync.Once
	sysErr error
	// hostOnce guards the creation of the functions that guests import.
	hostOnce sync.Once
	hostErr  error
}

// NewEngine starts an engine. Compiled code is kept in cacheDir, if it is not
// empty, in a directory that only its owner may enter: who can write there can
// run code in this process.
func NewEngine(ctx context.Context, cacheDir string) (*Engine, error) {
	ctx = context.WithoutCancel(ctx)
	e := &Engine{
		ctx:   ctx,
		calls: empty{ctx},
	}
	cfg := wazero.NewRuntimeConfig().WithMemoryLimitPages(stubPages)
	if cacheDir != "" {
		if err := private(cacheDir); err != nil {
			return nil, fmt.Errorf("compilation cache: %w", err)
		}
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("compilation cache: %w", err)
		}
		e.cache = cache
		cfg = cfg.WithCompilationCache(cache)
	}
	e.rt = wazero.NewRuntimeWithConfig(e.ctx, cfg)
	e.check = wazero.NewRuntimeWithConfig(e.ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(65536))
	return e, nil
}

// empty is a context without values.
type empty struct{ context.Context }

// Value returns nil.
func (empty) Value(any) any { return nil }

// private creates the directory, or refuses one that others can use.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() || st.Mode().Perm()&0o077 != 0 || !ownedByUs(st) {
		return fmt.Errorf("%s must be a directory of ours with mode 0700", dir)
	}
	return nil
}

// Close frees everything. No call may be running.
func (e *Engine) Close() error {
	err := errors.Join(e.rt.Close(e.ctx), e.check.Close(e.ctx))
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(e.ctx))
	}
	return err
}

// Inspect applies every check for which no code of the module runs. With an error
// it returns what could be decoded, or nil.
func (e *Engine) Inspect(bin []byte, stub bool) (*wasmbin.Module, error) {
	m, err := decode(bin, stub)
	if err != nil {
		return m, err
	}
	original, err := compile(e.ctx, e.check, bin)
	if err != nil {
		return m, fmt.Errorf("invalid module: %w", err)
	}
	return m, original.Close(e.ctx)
}

func decode(bin []byte, stub bool) (*wasmbin.Module, error) {
	lim := wasmbin.Plain()
	lim.Import = provided
	if stub {
		lim = wasmbin.Stub(func(module, name string) bool { return stubbed(module, name) || provided(module, name) })
	}
	m, err := wasmbin.Decode(bin, lim)
	if err != nil {
		return nil, err
	}
	return m, Check(m)
}

// compile turns a panic of the compiler into an error: wazero v1.12.0 indexes
// without a check when a function has a type that does not exist.
func compile(ctx context.Context, rt wazero.Runtime, bin []byte) (c wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, fmt.Errorf("the compiler panicked: %v", r)
		}
	}()
	return rt.CompileModule(ctx, bin)
}
