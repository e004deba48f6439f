// Package abuse holds modules that misbehave, each in its own way, and says at
// which point the gateway must stop it. Tests load them beside honest traffic;
// nothing in the gateway itself uses them.
package abuse

import "encoding/binary"

// Stage is the point at which a module must fail.
type Stage int

const (
	// Load means that the module never runs.
	Load Stage = iota
	// Call means that it loads and each call is a closed failure.
	Call
	// Harmless means that calls succeed and nothing is left behind.
	Harmless
)

// Module is one of them.
type Module struct {
	Name string
	Bin  []byte
	Stage
}

// Guests of which every part is honest, to be changed in one place.
func honest(transform []byte, more ...Func) Guest {
	return Guest{Memory: []byte{0, 2}, Funcs: append([]Func{
		{Export: "abi", Results: i32, Code: con32(1 << 16)},
		{Export: "alloc", Params: i32, Results: i32, Code: con32(bufferOffset)},
		{Export: "transform", Params: i32 + i32 + i32, Results: i64, Locals: 2, Code: transform},
	}, more...)}
}

// unchanged is the result 0.
func unchanged() []byte { return con64(0) }

// Echo returns the payload as its output. It is honest: the measure of what a
// call costs.
func Echo() []byte {
	meta := code(op(localGet, 1), op(i32Load, 2, 0), con32(4), op(i32Add))
	return honest(code(
		op(localGet, 1), meta, op(i32Add, i64ExtendU), con64(32), op(i64Shl),
		op(localGet, 2), meta, op(i32Sub, i64ExtendU, i64Or),
	)).Assemble()
}

// Meta returns the meta part of its input as its output. It is honest: what a module is told.
func Meta() []byte {
	return honest(code(
		op(localGet, 1), con32(4), op(i32Add, i64ExtendU), con64(32), op(i64Shl),
		op(localGet, 1), op(i32Load, 2, 0), op(i64ExtendU, i64Or),
	)).Assemble()
}

// Idle leaves its input as it is, with so many pages of memory, of which it uses one.
func Idle(pages byte) []byte {
	g := honest(unchanged())
	g.Memory = []byte{0, pages}
	return g.Assemble()
}

// Modules returns all of them.
func Modules() []Module {
	return append(atLoad(), atCall()...)
}

func atCall() []Module {
	spin := code(op(opLoop, voidBlock, opBr, 0, opEnd), unchanged())
	call := func(name string, g Guest) Module { return Module{name, g.Assemble(), Call} }
	return []Module{
		call("infinite loop", honest(spin)),
		call("2^34 calls without a loop", chain(34)),
		call("straight line of memory.fill", fills(400)),
		call("deep recursion", honest(code(op(opCall, 3), unchanged()), Func{Code: op(opCall, 3)})),
		call("recursion with a large frame", honest(code(con64(1), op(opCall, 3)), largeFrame())),
		call("grow bomb", honest(code(op(opLoop, voidBlock), con32(1), op(memoryGrow, 0, opDrop, opBr, 0, opEnd), unchanged()))),
		call("pointer chase", chase()),
		call("trap", honest(op(unreachable))),
		call("division by zero", honest(code(con32(1), con32(0), op(0x6d, opDrop), unchanged()))),
		call("load outside memory", honest(code(con32(-16), op(i32Load, 2, 0, opDrop), unchanged()))),
		call("output pointer outside memory", honest(con64(int64(0x7ffffff0)<<32|16))),
		call("output pointer and length wrap", honest(con64(-1<<36|0xffffffff))),
		call("output length is the maximum", honest(con64(bufferOffset<<32|0xffffffff))),
		call("output longer than the limit", honest(con64(bufferOffset<<32|100000))),
		call("output of length zero", honest(con64(bufferOffset<<32))),
		call("output in front of the input", honest(con64(1<<32|8))),
		call("unknown result code", honest(con64(99))),
		call("alloc refuses", with(1, con32(0))),
		call("alloc outside memory", with(1, con32(-8))),
		call("alloc at the last byte", with(1, con32(2*65536-1))),
		call("alloc spins", with(1, code(op(opLoop, voidBlock, opBr, 0, opEnd), con32(0)))),
		{"keeps its input", keeper(), Harmless},
		{"grows alloc", growing(), Harmless},
	}
}

// with replaces the code of one of the three functions.
func with(i int, c []byte) Guest {
	g := honest(unchanged())
	g.Funcs[i].Code = c
	return g
}

// chain is n functions that call the next one twice.
func chain(n int) Guest {
	g := honest(code(op(opCall, 3), unchanged()))
	for i := range n {
		next := binary.AppendUvarint([]byte{opCall}, uint64(4+i))
		g.Funcs = append(g.Funcs, Func{Code: code(next, next)})
	}
	g.Funcs = append(g.Funcs, Func{})
	return g
}

func fills(n int) Guest {
	one := code(con32(0), con32(7), con32(127*65536), op(0xfc, 11, 0))
	g := honest(code(repeat(n, one), unchanged()))
	g.Memory = []byte{0, 127}
	return g
}

// largeFrame recurses with 900 live values of 8 bytes.
func largeFrame() Func {
	c := code(repeat(900, op(localGet, 0)), con64(1), op(opCall, 3), repeat(900, op(i64Add)))
	return Func{Params: i64, Results: i64, Code: c}
}

// chase follows a chain of pointers through the whole memory, so that each step
// waits for the memory and not for the processor. The links are laid by a
// linear congruence of full period over the cache lines.
func chase() Guest {
	const lines = 127 * 65536 / 64 / 4 * 4
	lay := code(
		op(opLoop, voidBlock),
		op(localGet, 0), op(localGet, 0), con32(64*40009), op(i32Add), con32(lines*64), op(0x70), op(localTee, 0),
		op(i32Store, 2, 0), op(localGet, 0), op(opBrIf, 0), op(opEnd),
		op(opLoop, voidBlock), op(localGet, 0, i32Load, 2, 0, localSet, 0, opBr, 0, opEnd), unchanged())
	g := honest(lay)
	g.Memory = []byte{0, 127}
	return g
}

// keeper copies the input to a place of its own and counts in a global.
func keeper() []byte {
	g := honest(code(
		con32(70000), op(localGet, 1), op(localGet, 2), op(0xfc, 10, 0, 0),
		op(globalGet, 0), con32(1), op(i32Add), op(globalSet, 0), unchanged()))
	g.Globals = 1
	return g.Assemble()
}

// Peek copies its input to a place of its own in the last of its pages, like the
// module that keeps its input, and returns that whole page: what it could have kept.
func Peek(pages byte) []byte {
	last := int64(pages-1) << 16
	g := honest(code(
		con32(int32(last)+5000), op(localGet, 1), op(localGet, 2), op(0xfc, 10, 0, 0),
		con64(last<<32|65536),
	))
	g.Memory = []byte{0, pages}
	return g.Assemble()
}

// growing asks for a page on every alloc and ignores whether it got one.
func growing() []byte {
	return with(1, code(con32(1), op(memoryGrow, 0, opDrop), con32(bufferOffset))).Assemble()
}

// Answer is a guest whose alloc and transform return the given values, whatever
// they are asked.
func Answer(alloc int32, result int64) []byte {
	g := with(1, con32(alloc))
	g.Funcs[2].Code = con64(result)
	return g.Assemble()
}

// place is behind the buffer of the shortest inputs.
const place = 8192

// Says is a guest whose output is always the given text.
func Says(text string) []byte {
	g := with(1, con32(bufferOffset))
	g.Funcs[2].Code = con64(place<<32 | int64(len(text)))
	g.Extra = segment(text)
	return g.Assemble()
}

// segment is a data section with a text at its place.
func segment(text string) []byte {
	data := append([]byte{0}, con32(place)...)
	return section(11, 1, append(append(data, opEnd), vec(text)...))
}
