package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"portcullis/gateway/transform/wasmbin"
)

// HostModule is the name of what guests import to say something.
const HostModule = "portcullis"

// What one call may say. A line that is longer is cut.
const (
	maxLines = 4
	maxLine  = 256
)

// Line is what a guest wants to be logged. It chose every byte.
type Line struct {
	Level uint32
	Text  []byte
}

// Said is what a guest said in a call.
type Said struct {
	Lines []Line
	// Counts are what it counted, by the places of the names in Config.Counters.
	Counts []uint64
	// Lost is what it said beyond its limits, or under a name that is none of its.
	Lost int
}

var errNowhere = errors.New("guest speaks of what is outside of its memory")

// hostFuncs are what a guest may import of the gateway, if its manifest says so. All take
// three i32 and return nothing.
func hostFuncs() map[string]func(in *instance, mem api.Memory, a, b, c uint32) {
	return map[string]func(in *instance, mem api.Memory, a, b, c uint32){
		"log":   func(in *instance, mem api.Memory, level, p, n uint32) { in.say(level, in.text(mem, p, n)) },
		"count": func(in *instance, mem api.Memory, p, n, by uint32) { in.count(in.text(mem, p, n), by) },
	}
}

// spoken tells whether a guest may import the function, as far as the gateway is concerned.
func spoken(module, name string) bool { return module == HostModule && hostFuncs()[name] != nil }

// permits tells whether a module imports no more than its manifest allows.
func (c *Config) permits(m *wasmbin.Module) (speaks bool, err error) {
	for _, im := range m.Imports {
		if im.Module != HostModule {
			continue
		}
		speaks = true
		switch {
		case im.Name == "log" && !c.Logs:
			return false, fmt.Errorf("module logs (it imports %s.log), which its manifest does not allow with logs: true", HostModule)
		case im.Name == "count" && c.Counters == nil:
			return false, fmt.Errorf("module counts (it imports %s.count), for which its manifest lists no counters", HostModule)
		}
	}
	return speaks, nil
}

// say keeps a line until the call is over.
func (in *instance) say(level uint32, text []byte) {
	s := in.saying()
	if len(s.Lines) == maxLines {
		s.Lost++
		return
	}
	s.Lines = append(s.Lines, Line{level, append([]byte(nil), text[:min(len(text), maxLine)]...)})
}

// count adds to a counter of the manifest.
func (in *instance) count(name []byte, by uint32) {
	s := in.saying()
	for i, known := range in.m.cfg.Counters {
		if known == string(name) {
			s.Counts[i] += uint64(by)
			return
		}
	}
	s.Lost++
}

func (in *instance) saying() *Said {
	if in.said == nil {
		in.said = &Said{Counts: make([]uint64, len(in.m.cfg.Counters))}
	}
	return in.said
}

// text is memory of the guest, until it runs on. Beyond its end the call is over.
func (in *instance) text(mem api.Memory, p, n uint32) []byte {
	view, ok := mem.Read(p, n)
	if !ok {
		panic(errNowhere)
	}
	return view
}

// speaking is the context of calls of guests that may speak: it knows who does.
type speaking struct {
	context.Context
	in *instance
}

type speakerKey struct{}

// Value returns the instance, and nothing else.
func (s speaking) Value(key any) any {
	if key == (speakerKey{}) {
		return s.in
	}
	return nil
}

// listen registers what guests may import of the gateway, once.
func (e *Engine) listen() error {
	e.voice.Do(func() {
		b := e.rt.NewHostModuleBuilder(HostModule)
		for name, fn := range hostFuncs() {
			host := func(ctx context.Context, m api.Module, stack []uint64) {
				in, _ := ctx.Value(speakerKey{}).(*instance)
				fn(in, m.Memory(), uint32(stack[0]), uint32(stack[1]), uint32(stack[2]))
			}
			b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(host), []api.ValueType{api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32}, nil).Export(name)
		}
		_, e.voiceErr = b.Instantiate(e.ctx)
	})
	return e.voiceErr
}
