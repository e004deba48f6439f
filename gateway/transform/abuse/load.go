package abuse

import "encoding/binary"

// atLoad lists what must never be compiled.
func atLoad() []Module {
	load := func(name string, bin []byte) Module { return Module{name, bin, Load} }
	return []Module{
		load("nothing", nil),
		load("only a header", []byte("\x00asm\x01\x00\x00\x00")),
		load("not wasm", []byte("#!/bin/sh\n")),
		load("truncated", Echo()[:60]),
		load("validator panic", validatorPanic()),
		load("no memory", edit(func(g *Guest) { g.Memory = nil })),
		load("shared memory", edit(func(g *Guest) { g.Memory = []byte{3, 2, 2} })),
		load("64-bit memory", edit(func(g *Guest) { g.Memory = []byte{4, 2} })),
		load("memory above the limit", edit(func(g *Guest) { g.Memory = []byte{0, 0x81, 0x02} })),
		load("memory maximum below minimum", edit(func(g *Guest) { g.Memory = []byte{1, 2, 1} })),
		load("start function", edit(func(g *Guest) { g.Funcs, g.Start = append(g.Funcs, Func{}), 4 })),
		load("abi of another major", edit(func(g *Guest) { g.Funcs[0].Code = con32(2 << 16) })),
		load("abi spins", edit(func(g *Guest) { g.Funcs[0].Code = code(op(opLoop, voidBlock, opBr, 0, opEnd), con32(0)) })),
		load("abi missing", edit(func(g *Guest) { g.Funcs[0].Export = "abj" })),
		load("alloc with a wrong signature", edit(func(g *Guest) { g.Funcs[1].Params = i64 })),
		load("transform with a wrong signature", edit(func(g *Guest) { g.Funcs[2].Results, g.Funcs[2].Code = i32, con32(0) })),
		load("init with a wrong signature", edit(func(g *Guest) { g.Funcs = append(g.Funcs, Func{Export: "init"}) })),
		load("init spins", edit(func(g *Guest) { g.Funcs = append(g.Funcs, spinning("_initialize", "", "")) })),
		load("smuggled global", edit(func(g *Guest) { g.Funcs[2].Code = code(con64(1<<60), op(globalSet, 0), unchanged()) })),
		load("smuggled local", edit(func(g *Guest) { g.Funcs[2].Code = code(op(localGet, 5, opDrop), unchanged()) })),
		load("non-minimal constant", edit(func(g *Guest) { g.Funcs[2].Code = code(op(i32Const, 0x80, 0, opDrop), unchanged()) })),
		load("non-minimal index", edit(func(g *Guest) { g.Funcs[2].Code = code(op(localGet, 0x80, 0, opDrop), unchanged()) })),
		load("non-minimal vector opcode", edit(func(g *Guest) { g.Funcs[2].Code = nonMinimalVector() })),
		load("atomic instruction", edit(func(g *Guest) { g.Funcs[2].Code = code(op(0xfe, 0x03, 0), unchanged()) })),
		load("tail call", edit(func(g *Guest) { g.Funcs[2].Code = op(0x12, 2) })),
		load("imported function", imports([]byte("\x03env\x01f\x00\x00"))),
		load("imported memory", imports([]byte("\x03env\x01m\x02\x00\x01"))),
		load("system interface without leave", imports([]byte("\x16wasi_snapshot_preview1\x09proc_exit\x00\x00"))),
		load("unknown function of the gateway", imports([]byte("\x0aportcullis\x04exec\x00\x00"))),
		load("log of the gateway with another signature", imports([]byte("\x0aportcullis\x03log\x00\x00"))),
		load("log of the gateway in a table", inTable()),
		load("too many locals", edit(func(g *Guest) { g.Funcs[2].Locals = 1 << 30 })),
		load("data outside memory", edit(func(g *Guest) { g.Extra = section(11, 1, code(op(0), con32(2*65536-1), op(opEnd, 2, 1, 1))) })),
		load("too much to compile", compileBomb()),
		load("section twice", append(Echo(), Echo()[8:]...)),
	}
}

func edit(change func(*Guest)) []byte {
	g := honest(unchanged())
	change(&g)
	return g.Assemble()
}

func spinning(name, params, results string) Func {
	return Func{Export: name, Params: params, Results: results, Code: op(opLoop, voidBlock, opBr, 0, opEnd)}
}

// nonMinimalVector is i8x16.bitmask for a reader of LEB128 and f32x4.add followed
// by unreachable for a reader of one byte.
func nonMinimalVector() []byte {
	zero := code(op(0xfd, 12), make([]byte, 16))
	return code(zero, op(0xfd, 0xe4, 0x00, opDrop), unchanged())
}

// validatorPanic uses a type that does not exist in a block, which made a
// validator index past its types.
func validatorPanic() []byte {
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x03\x02\x00\x7f" + "\x0a\x09\x02\x04\x00\x10\x01\x0b\x02\x00\x0b")
}

func imports(im []byte) []byte {
	bin := Echo()
	types := 10 + int(bin[9])
	out := append([]byte{}, bin[:types]...)
	out = append(out, section(2, 1, im)...)
	return append(out, bin[types:]...)
}

// compileBomb nests loops around accesses to many locals, which takes a compiler
// minutes and is ten kilobytes.
func compileBomb() []byte {
	const depth, n = 250, 900
	c := repeat(depth, op(opLoop, voidBlock))
	for i := range n {
		c = binary.AppendUvarint(append(c, localGet), uint64(3+i))
		c = append(c, code(con64(1), op(i64Add))...)
		c = binary.AppendUvarint(append(c, localSet), uint64(3+i))
	}
	c = append(c, repeat(depth, op(localGet, 0, opBrIf, 0, opEnd))...)
	return edit(func(g *Guest) { g.Funcs[2].Locals, g.Funcs[2].Code = n, code(c, unchanged()) })
}
