package abuse

import (
	"cmp"
	"encoding/binary"
)

// Guest describes a module to assemble. The zero value is a module without a
// memory or an export.
type Guest struct {
	// Memory is the memory section after the count of one; nil leaves it out.
	Memory []byte
	// Globals is the number of mutable i32 globals.
	Globals int
	// Imports come before Funcs in the numbers of functions.
	Imports []Import
	Funcs   []Func
	// Start is the index of the start function plus one.
	Start int
	// Extra is appended behind the code section.
	Extra []byte
}

// Import is one imported function that returns nothing.
type Import struct{ Module, Name, Params string }

// Func is one function; the types are strings of value type bytes.
type Func struct {
	Export          string
	Params, Results string
	// Locals is the number of declared locals, Type what they are: i64 if it is 0.
	Locals int
	Type   byte
	// Code is everything but the last end.
	Code []byte
}

// Value types and the few instructions that the assembler needs by name.
const (
	i32 = "\x7f"
	i64 = "\x7e"

	unreachable  = 0x00
	opBlock      = 0x02
	opLoop       = 0x03
	opEnd        = 0x0b
	opBr         = 0x0c
	opBrIf       = 0x0d
	opCall       = 0x10
	opDrop       = 0x1a
	localGet     = 0x20
	localSet     = 0x21
	localTee     = 0x22
	globalGet    = 0x23
	globalSet    = 0x24
	i32Load      = 0x28
	i64Load      = 0x29
	i32Store     = 0x36
	memoryGrow   = 0x40
	i32Const     = 0x41
	i64Const     = 0x42
	i32Eqz       = 0x45
	i32Add       = 0x6a
	i32Sub       = 0x6b
	i64Add       = 0x7c
	i64Or        = 0x84
	i64Shl       = 0x86
	i64ExtendU   = 0xad
	voidBlock    = 0x40
	bufferOffset = 1024
)

// code joins instructions.
func code(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func op(b ...byte) []byte { return b }

func con32(v int32) []byte { return signed([]byte{i32Const}, int64(v)) }

func con64(v int64) []byte { return signed([]byte{i64Const}, v) }

func signed(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func repeat(n int, c []byte) []byte {
	var out []byte
	for range n {
		out = append(out, c...)
	}
	return out
}

func section(id byte, items int, body []byte) []byte {
	body = append(binary.AppendUvarint(nil, uint64(items)), body...)
	out := binary.AppendUvarint([]byte{id}, uint64(len(body)))
	return append(out, body...)
}

func vec(s string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(s))), s...)
}

// Assemble writes the binary.
func (g Guest) Assemble() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	var types, funcs, exports, bodies, globals []byte
	n := 0
	var imports []byte
	for i, im := range g.Imports {
		types = append(append(append(types, 0x60), vec(im.Params)...), 0)
		imports = binary.AppendUvarint(append(append(append(imports, vec(im.Module)...), vec(im.Name)...), 0), uint64(i))
	}
	for i, f := range g.Funcs {
		i += len(g.Imports)
		types = append(append(append(types, 0x60), vec(f.Params)...), vec(f.Results)...)
		funcs = binary.AppendUvarint(funcs, uint64(i))
		if f.Export != "" {
			n++
			exports = binary.AppendUvarint(append(append(exports, vec(f.Export)...), 0), uint64(i))
		}
		bodies = append(bodies, f.body()...)
	}
	for range g.Globals {
		globals = append(globals, 0x7f, 1, i32Const, 0, opEnd)
	}
	out = append(out, section(1, len(g.Imports)+len(g.Funcs), types)...)
	if len(g.Imports) > 0 {
		out = append(out, section(2, len(g.Imports), imports)...)
	}
	out = append(out, section(3, len(g.Funcs), funcs)...)
	if g.Memory != nil {
		n++
		exports = append(append(exports, vec("memory")...), 2, 0)
		out = append(out, section(5, 1, g.Memory)...)
	}
	if g.Globals > 0 {
		out = append(out, section(6, g.Globals, globals)...)
	}
	out = append(out, section(7, n, exports)...)
	if g.Start > 0 {
		out = append(out, 8, 1, byte(g.Start-1))
	}
	out = append(out, section(10, len(g.Funcs), bodies)...)
	return append(out, g.Extra...)
}

func (f Func) body() []byte {
	var b []byte
	if f.Locals > 0 {
		b = append(binary.AppendUvarint([]byte{1}, uint64(f.Locals)), cmp.Or(f.Type, i64[0]))
	} else {
		b = []byte{0}
	}
	b = append(append(b, f.Code...), opEnd)
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}
