package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"portcullis/gateway/transform/wasmbin"
)

// HostModule is the name of the module from which guests import log and count.
const HostModule = "portcullis"

// What one call may log. A line that is longer is cut.
const (
	maxLines = 4
	maxLine  = 256
)

// Line is what a guest wants to be logged. It chose every byte.
type Line struct {
	Level uint32
	Text  []byte
}

// Emitted are the lines and counts of a guest in one call.
type Emitted struct {
	Lines []Line
	// Counts are what it counted, by the places of the names in Config.Counters.
	Counts []uint64
	// Lost is how many lines and counts were dropped: beyond the limits, or of a counter that
	// the manifest does not list.
	Lost int
}

var errBounds = errors.New("guest imports of what is outside of its memory")

// hostFuncs are what a guest may import of the gateway, if its manifest says so. All take
// three i32 and return nothing.
func hostFuncs() map[string]func(in *instance, mem api.Memory, a, b, c uint32) {
	return map[string]func(in *instance, mem api.Memory, a, b, c uint32){
		"log":   func(in *instance, mem api.Memory, level, p, n uint32) { in.log(level, in.text(mem, p, n)) },
		"count": func(in *instance, mem api.Memory, p, n, by uint32) { in.count(in.text(mem, p, n), by) },
	}
}

// provided reports whether a guest may import the function, as far as the gateway is concerned.
func provided(module, name string) bool { return module == HostModule && hostFuncs()[name] != nil }

// permits reports whether a module imports no more than its manifest allows.
func (c *Config) permits(m *wasmbin.Module) (imports bool, err error) {
	for _, im := range m.Imports {
		if im.Module != HostModule {
			continue
		}
		imports = true
		switch {
		case im.Name == "log" && !c.Logs:
			return false, fmt.Errorf("module logs (it imports %s.log), which its manifest does not allow with logs: true", HostModule)
		case im.Name == "count" && c.Counters == nil:
			return false, fmt.Errorf("module counts (it imports %s.count), for which its manifest lists no counters", HostModule)
		}
	}
	return imports, nil
}

// log keeps a line until the call is over.
func (in *instance) log(level uint32, text []byte) {
	s := in.emit()
	if len(s.Lines) == maxLines {
		s.Lost++
		return
	}
	s.Lines = append(s.Lines, Line{level, append([]byte(nil), text[:min(len(text), maxLine)]...)})
}

// count adds to a counter of the manifest.
func (in *instance) count(name []byte, by uint32) {
	s := in.emit()
	for i, known := range in.m.cfg.Counters {
		if known == string(name) {
			s.Counts[i] += uint64(by)
			return
		}
	}
	s.Lost++
}

func (in *instance) emit() *Emitted {
	if in.emitted == nil {
		in.emitted = &Emitted{Counts: make([]uint64, len(in.m.cfg.Counters))}
	}
	return in.emitted
}

// text is memory of the guest, until it runs on. Beyond its end the call is over.
func (in *instance) text(mem api.Memory, p, n uint32) []byte {
	view, ok := mem.Read(p, n)
	if !ok {
		panic(errBounds)
	}
	return view
}

// hostContext is the context of calls of guests that import host functions: it knows which instance runs.
type hostContext struct {
	context.Context
	in *instance
}

type instanceKey struct{}

// Value returns the instance, and nothing else.
func (c hostContext) Value(key any) any {
	if key == (instanceKey{}) {
		return c.in
	}
	return nil
}

// listen registers what guests may import of the gateway, once.
func (e *Engine) provideHost() error {
	e.hostOnce.Do(func() {
		b := e.rt.NewHostModuleBuilder(HostModule)
		for name, fn := range hostFuncs() {
			host := func(ctx context.Context, m api.Module, stack []uint64) {
				in, _ := ctx.Value(instanceKey{}).(*instance)
				fn(in, m.Memory(), uint32(stack[0]), uint32(stack[1]), uint32(stack[2]))
			}
			b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(host), []api.ValueType{api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32}, nil).Export(name)
		}
		_, e.hostErr = b.Instantiate(e.ctx)
	})
	return e.hostErr
}
