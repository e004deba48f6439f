package abuse

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// Slow returns guests that spend their fuel as slowly as one class of instructions
// lets them: what is dear for the processor and could be cheap in fuel. Each runs
// until it has no fuel left, and how long that takes is what bounds the default
// limits.
func Slow() []Module {
	all := map[string]Guest{
		"values of a branch": branching(), "results of a call": calling(),
		"recursion with parameters": recursive(), "recursion with locals": deep(),
		"br_table at random": tableAtRandom(), "grow, then chase": growChase(),
		"rotating locals": rotate(i64[0]), "rotating vectors": rotate(v128),
		"chase over 32 pages": chaseBy(64*20011, 32), "chase over 16 pages": chaseBy(64*10007, 16), "chase over 2 pages": chaseBy(64*409, 2),
	}
	maps.Copy(all, slowFloats())
	maps.Copy(all, slowVectors())
	maps.Copy(all, slowMemory())
	var out []Module
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Module{name, all[name].Assemble(), Call})
	}
	return out
}

// forever repeats the code many times in a loop without an end. Local 3 and 4 are
// of the type t; local 3 starts with the value of init.
func forever(t byte, init []byte, body ...[]byte) Guest {
	var start []byte
	if init != nil {
		start = code(init, op(localSet, 3))
	}
	g := honest(code(start, op(opLoop, voidBlock), repeat(100, code(body...)), op(opBr, 0, opEnd), unchanged()))
	g.Funcs[2].Type = t
	return g
}

// slowFloats lists numbers too small to be normal, and what is more than one
// machine instruction.
func slowFloats() map[string]Guest {
	unary := func(ops ...byte) Guest {
		return forever(f64, one(), op(localGet, 3), ops, op(localSet, 3))
	}
	return map[string]Guest{
		"denormal f64.mul":  forever(f64, denormal(), op(localGet, 3), one(), op(0xa2, localSet, 3)),
		"denormal f64.add":  forever(f64, denormal(), op(localGet, 3), denormal(), op(0xa0, localSet, 3)),
		"denormal f64.div":  forever(f64, denormal(), op(localGet, 3), one(), op(0xa3, localSet, 3)),
		"denormal f64.sqrt": forever(f64, denormal(), denormal(), op(localGet, 4, 0xa6, 0x9f, localSet, 4)),
		"f64.nearest":       unary(0x9e), "f64.min": unary(localGet, 4, 0xa4), "f32.demote_f64": unary(0xb6, 0xbb),
		"i64.trunc_sat_f64_u": unary(0xfc, 7, 0xba), "i64.trunc_f64_u": unary(0xb1, 0xba),
		"i64.div_s": forever(i64[0], con64(-1<<63), op(localGet, 3), con64(3), op(0x7f, localGet, 3, i64Or, localSet, 3)),
		"i64.rem_u": forever(i64[0], con64(-1), op(localGet, 3), con64(0x7fffffff12345), op(0x82, localGet, 3, i64Or, localSet, 3)),
		"branches at random": forever(i64[0], con64(88172645463325252), xorshift(), op(localGet, 3, 0xa7), con32(1),
			op(0x71, 0x04, voidBlock, localGet, 4), con64(1), op(i64Add, localSet, 4, opEnd)),
	}
}

func slowVectors() map[string]Guest {
	unary := func(o uint64) Guest {
		return forever(v128, splat(one()), op(localGet, 3), vec128(o), op(localSet, 3))
	}
	binary := func(first []byte, o uint64) Guest {
		return forever(v128, splat(first), op(localGet, 3), splat(one()), vec128(o), op(localSet, 3))
	}
	shift := func(o uint64) Guest {
		return forever(v128, splat(one()), op(localGet, 3, localGet, 1), vec128(o), op(localSet, 3))
	}
	return map[string]Guest{
		"denormal f64x2.mul": binary(denormal(), 0xf2), "denormal f64x2.div": binary(denormal(), 0xf3),
		"i64x2.mul": binary(one(), 0xd5), "f32x4.min": binary(one(), 0xe8),
		"i8x16.shr_s": shift(0x6c), "i64x2.shr_s": shift(0xcc),
		"i8x16.popcnt": unary(0x62), "f64x2.sqrt": unary(0xef),
		"i32x4.trunc_sat_f32x4_u": unary(0xf9), "i32x4.trunc_sat_f64x2_u": unary(0xfd),
	}
}

func slowMemory() map[string]Guest {
	bulk := func(o byte, from, n int32) Guest {
		more := op(0xfc, o, 0)
		if o == 10 {
			more = append(more, 0)
		}
		return forever(i64[0], nil, con32(9), con32(from), con32(n), more)
	}
	large := func(g Guest) Guest {
		g.Memory = []byte{0, 127}
		return g
	}
	across := code(op(localGet, 0), con32(4096*17), op(i32Add), con32(32<<16-1), op(0x71), con32(4088), op(0x72, localTee, 0))
	return map[string]Guest{
		"memory.fill of a byte": bulk(11, 1, 1), "memory.fill of 1000": bulk(11, 1, 1000), "memory.copy of a byte": bulk(10, 1, 1),
		"memory.copy overlapping":    large(bulk(10, 1, 127*65536-9)),
		"memory.copy through memory": large(bulk(10, 63*65536+61, 63*65536)),
		"memory.grow of nothing":     forever(i64[0], nil, con32(0), op(memoryGrow, 0, opDrop)),
		"load across pages":          large(forever(v128, nil, across, op(0xfd, 0, 0, 0, localSet, 3))),
		"store across pages":         large(forever(v128, nil, across, op(localGet, 3, 0xfd, 11, 0, 0))),
		"store, then wider load":     forever(i64[0], nil, con32(8), op(localGet, 0, i32Store, 0, 4), con32(8), op(i64Load, 0, 2, 0xa7, localSet, 0)),
	}
}

const (
	f64  = 0x7c
	v128 = 0x7b
)

func vec128(o uint64) []byte { return binary.AppendUvarint([]byte{0xfd}, o) }

// one is 1.0, denormal a number that is too small to be normal.
func one() []byte { return op(0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f) }

func denormal() []byte { return op(0x44, 3, 0, 0, 0, 0, 0, 1, 0) }

func splat(c []byte) []byte { return append(slices.Clone(c), 0xfd, 0x14) }

// zeros are n vectors on the operand stack.
func zeros(n int) []byte { return repeat(n, append(op(0xfd, 12), make([]byte, 16)...)) }

// xorshift makes local 3 the next number at random.
func xorshift() []byte {
	return code(
		op(localGet, 3, localGet, 3), con64(13), op(i64Shl, 0x85, localTee, 3, localGet, 3), con64(7),
		op(0x88, 0x85, localTee, 3, localGet, 3), con64(17), op(i64Shl, 0x85, localSet, 3))
}

// rotate moves the value of each local to the next one, which is nothing but moves
// between two rounds of a loop.
func rotate(t byte) Guest {
	const n = 996
	var moves []byte
	for i := range 2 * n {
		o := byte(localGet)
		if i >= n {
			o = localSet
		}
		moves = binary.AppendUvarint(append(moves, o), uint64(3+i%n))
	}
	g := honest(code(op(opLoop, voidBlock), moves, op(opBr, 0, opEnd), unchanged()))
	g.Funcs[2].Locals, g.Funcs[2].Type = n, t
	return g
}

// wide is a signature, or a part of one, as large as it may be.
func wide() string { return strings.Repeat(string(rune(v128)), 100) }

// parameters reads the first n locals.
func parameters(n int) []byte {
	var out []byte
	for i := range n {
		out = append(out, localGet, byte(i))
	}
	return out
}

// branching carries 100 values through a loop.
func branching() Guest {
	g := honest(code(zeros(100), op(opLoop, 3, localSet, 3, localSet, 4, localGet, 3, localGet, 4, opBr, 0, opEnd), repeat(100, op(opDrop)), unchanged()))
	g.Funcs[2].Type = v128
	g.Funcs = append(g.Funcs, Func{Params: wide(), Results: wide(), Code: op(unreachable)})
	return g
}

// calling takes 100 values to a function and back.
func calling() Guest {
	g := honest(code(op(opLoop, voidBlock), zeros(100), op(opCall, 3), repeat(100, op(opDrop)), op(opBr, 0, opEnd), unchanged()))
	g.Funcs = append(g.Funcs, Func{Params: wide(), Results: wide(), Code: parameters(100)})
	return g
}

// recursive takes 100 values to itself.
func recursive() Guest {
	g := honest(code(zeros(100), op(opCall, 3), repeat(100, op(opDrop)), unchanged()))
	g.Funcs = append(g.Funcs, Func{Params: wide(), Results: wide(), Code: code(parameters(100), op(opCall, 3))})
	return g
}

// deep keeps 90 different values while it calls itself.
func deep() Guest {
	var keep, use []byte
	for i := range 90 {
		keep = append(keep, code(op(localGet, 0), vec128(0x60), op(localTee, byte(i+1), localSet, 0))...)
		use = append(use, code(con32(int32(i*16)), op(localGet, byte(i+1), 0xfd, 11, 0, 0))...)
	}
	g := honest(code(zeros(1), op(opCall, 3), unchanged()))
	g.Funcs = append(g.Funcs, Func{Params: string(rune(v128)), Locals: 90, Type: v128, Code: code(keep, op(localGet, 0, opCall, 3), use)})
	return g
}

// tableAtRandom jumps to one of 60 places.
func tableAtRandom() Guest {
	const n = 60
	c := code(con64(88172645463325252), op(localSet, 3, opLoop, voidBlock), repeat(n, op(opBlock, voidBlock)), xorshift(),
		op(localGet, 3, 0xa7), con32(63), op(0x71, 0x0e, n-1))
	for i := range n {
		c = append(c, byte(i))
	}
	for i := range n {
		c = append(c, code(op(opEnd, localGet, 0), con32(int32(i)), op(i32Add, localSet, 0, opBr, byte(n-1-i)))...)
	}
	return honest(code(c, op(opEnd), unchanged()))
}

// links lays a chain of pointers through so many pages.
func links(step, pages int32) []byte {
	return code(
		con32(0), op(localSet, 0, opLoop, voidBlock, localGet, 0, localGet, 0), con32(step), op(i32Add), con32(pages<<16), op(0x70, localTee, 0),
		op(i32Store, 2, 0, localGet, 0, opBrIf, 0, opEnd))
}

// follow goes along the chain without an end.
func follow() []byte {
	return code(con32(0), op(localSet, 0, opLoop, voidBlock), repeat(100, op(localGet, 0, i32Load, 2, 0, localSet, 0)), op(opBr, 0, opEnd), unchanged())
}

// chaseBy follows a chain of pointers that was laid when the instance started, so
// that each step waits for the memory.
func chaseBy(step int32, pages byte) Guest {
	g := honest(follow())
	g.Memory = []byte{0, pages}
	g.Funcs = append(g.Funcs, Func{Export: "_initialize", Locals: 1, Type: i32[0], Code: links(step, int32(pages))})
	return g
}

// growChase makes the memory larger than it could start with at the same price.
func growChase() Guest {
	return honest(code(con32(38), op(memoryGrow, 0, opDrop), links(64*40009, 40), follow()))
}

// GrowsAtStart has so many pages more before the first call than it declares.
func GrowsAtStart(pages int32) []byte {
	g := honest(unchanged())
	g.Funcs = append(g.Funcs, Func{Export: "_initialize", Code: code(con32(pages), op(memoryGrow, 0, opDrop))})
	return g.Assemble()
}
