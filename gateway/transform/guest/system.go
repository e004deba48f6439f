package guest

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const systemModule = "wasi_snapshot_preview1"

// Error numbers of the system interface (WASI preview 1, errno).
const (
	ok      = 0
	badFile = 8
	invalid = 28
	noFault = 21
)

// fixedTime is the only time there is: 2020-01-01 in nanoseconds.
const fixedTime = 1577836800_000_000_000

// maxSeed is more than a runtime asks for.
const maxSeed = 1 << 10

var errExit = errors.New("guest called exit")

// call is one function of the stub: parameters, and the result on the stack.
type call struct {
	params string
	fn     func(mem api.Memory, stack []uint64) uint64
}

// stubs answers what a Go runtime asks for and gives nothing: no argument, no
// variable, no file, one fixed time, one fixed seed. What is written is dropped.
func stubs() map[string]call {
	two := func(mem api.Memory, s []uint64) uint64 { return zeroes(mem, s[0], s[1]) }
	none := func(api.Memory, []uint64) uint64 { return ok }
	bad := func(api.Memory, []uint64) uint64 { return badFile }
	exit := func(api.Memory, []uint64) uint64 { panic(errExit) }
	return map[string]call{
		"args_get": {"ii", none}, "args_sizes_get": {"ii", two},
		"environ_get": {"ii", none}, "environ_sizes_get": {"ii", two},
		"clock_time_get":      {"iIi", clock},
		"random_get":          {"ii", seed},
		"fd_write":            {"iiii", discard},
		"fd_close":            {"i", bad},
		"fd_fdstat_get":       {"ii", bad},
		"fd_fdstat_set_flags": {"ii", bad},
		"fd_prestat_get":      {"ii", bad},
		"fd_prestat_dir_name": {"iii", bad},
		"fd_read":             {"iiii", bad},
		"fd_seek":             {"iIii", bad},
		"sched_yield":         {"", none},
		"poll_oneoff":         {"iiii", exit},
		"proc_exit":           {"i", exit},
	}
}

// stubbed tells whether a guest may import the function.
func stubbed(module, name string) bool {
	_, known := stubs()[name]
	return known && module == systemModule
}

func zeroes(mem api.Memory, a, b uint64) uint64 {
	if !mem.WriteUint32Le(uint32(a), 0) || !mem.WriteUint32Le(uint32(b), 0) {
		return noFault
	}
	return ok
}

func clock(mem api.Memory, s []uint64) uint64 {
	if !mem.WriteUint64Le(uint32(s[2]), fixedTime) {
		return noFault
	}
	return ok
}

// seed fills with the same bytes every time. What is asked for at once is bounded,
// because the price of a call does not depend on it.
func seed(mem api.Memory, s []uint64) uint64 {
	if s[1] > maxSeed {
		return invalid
	}
	buf, in := mem.Read(uint32(s[0]), uint32(s[1]))
	if !in {
		return noFault
	}
	for i := range buf {
		buf[i] = byte(i*37 + 11)
	}
	return ok
}

// discard claims to have written everything, to standard output or error.
func discard(mem api.Memory, s []uint64) uint64 {
	if s[0] != 1 && s[0] != 2 || s[2] > 16 {
		return badFile
	}
	total := uint32(0)
	for i := range uint32(s[2]) {
		n, in := mem.ReadUint32Le(uint32(s[1]) + 8*i + 4)
		if !in {
			return noFault
		}
		total += n
	}
	if !mem.WriteUint32Le(uint32(s[3]), total) {
		return noFault
	}
	return ok
}

// provide registers the stub in the runtime, once.
func (e *Engine) provide() error {
	e.system.Do(func() {
		b := e.rt.NewHostModuleBuilder(systemModule)
		for name, c := range stubs() {
			b = c.export(b, name)
		}
		_, e.sysErr = b.Instantiate(e.ctx)
	})
	return e.sysErr
}

func (c call) export(b wazero.HostModuleBuilder, name string) wazero.HostModuleBuilder {
	params := make([]api.ValueType, len(c.params))
	for i, p := range c.params {
		params[i] = api.ValueTypeI32
		if p == 'I' {
			params[i] = api.ValueTypeI64
		}
	}
	results := []api.ValueType{api.ValueTypeI32}
	if name == "proc_exit" {
		results = nil
	}
	fn := func(_ context.Context, m api.Module, stack []uint64) {
		if r := c.fn(m.Memory(), stack); len(results) > 0 {
			stack[0] = r
		}
	}
	return b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(fn), params, results).Export(name)
}
