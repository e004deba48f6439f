package guest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"portcullis/gateway/transform/wasmbin"
)

// Major is the version of the interface that a guest must have been built for.
const Major = 1

// Hook tells a guest what its input is.
type Hook uint32

// The hooks of version 1.
const (
	Log      Hook = 1
	Request  Hook = 2
	Response Hook = 3
)

// String returns the name that manifests use.
func (h Hook) String() string {
	switch h {
	case Log:
		return "log"
	case Request:
		return "request"
	case Response:
		return "response"
	}
	return "unknown"
}

// ParseHook is the inverse of [Hook.String].
func ParseHook(s string) (Hook, error) {
	for h := Log; h <= Response; h++ {
		if h.String() == s {
			return h, nil
		}
	}
	return 0, fmt.Errorf("hook %q is not log, request or response", s)
}

// export is one function of the interface.
type export struct {
	name     string
	sig      wasmbin.FuncType
	optional bool
}

func exports() []export {
	return []export{
		{"abi", wasmbin.FuncType{Results: i32}, false},
		{"alloc", wasmbin.FuncType{Params: i32, Results: i32}, false},
		{"transform", wasmbin.FuncType{Params: i32 + i32 + i32, Results: i64}, false},
		{"init", wasmbin.FuncType{Params: i32 + i32, Results: i64}, true},
		{"_initialize", wasmbin.FuncType{}, true},
	}
}

const (
	i32 = string(rune(wasmbin.I32))
	i64 = string(rune(wasmbin.I64))
)

// Check tells whether a decoded module has the interface.
func Check(m *wasmbin.Module) error {
	if e, ok := m.Exported("memory"); !ok || e.Kind != 2 {
		return errors.New("export memory is missing")
	}
	for _, want := range exports() {
		got, ok := m.Func(want.name)
		if _, any := m.Exported(want.name); !any && want.optional {
			continue
		}
		if !ok {
			return fmt.Errorf("export %s is missing or not a function", want.name)
		}
		if got != want.sig {
			return fmt.Errorf("export %s has the wrong signature", want.name)
		}
	}
	return nil
}

// kept are the exports that survive metering.
func kept() []string {
	out := []string{"memory"}
	for _, e := range exports() {
		out = append(out, e.name)
	}
	return out
}

// metaSize is the length field in front of the meta part.
const metaSize = 4

// writeInput lays out the input of a call: length of the meta part, meta part,
// payload.
func writeInput(dst, meta, payload []byte) {
	binary.LittleEndian.PutUint32(dst, uint32(len(meta)))
	n := copy(dst[metaSize:], meta)
	copy(dst[metaSize+n:], payload)
}
