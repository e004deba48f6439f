package wasmbin

import "strings"

// The walker follows how many values are on the operand stack, because they and
// the locals are what a function can keep while it calls another one. The number is
// exact for code that can run, and never too low.

// grow changes the height. Behind a branch there is nothing to take below the block.
func (w *walker) grow(n int) {
	base := 0
	if len(w.frames) > 0 {
		base = w.frames[len(w.frames)-1].base
	}
	w.height = max(w.height+n, base)
}

// slots is what the function may have to keep across a call that is made now.
func (w *walker) slots() int64 { return int64(w.locals + w.height) }

// effect is what a numeric instruction does to the height (Core 2.0, 5.4.6).
func effect(op byte) int {
	switch {
	case op == 0x45, op == 0x50, op >= 0x67 && op <= 0x69, op >= 0x79 && op <= 0x7b,
		op >= 0x8b && op <= 0x91, op >= 0x99 && op <= 0x9f, op >= 0xa7:
		return 0 // one value for one
	}
	return -1 // one value for two
}

// vecUnary are the vector instructions from 0x60 on that take one value.
const vecUnary = "\x60\x61\x62\x63\x64\x67\x68\x69\x6a\x74\x75\x7a\x7c\x7d\x7e\x7f\x80\x81\x83\x84\x87\x88\x89\x8a\x94" +
	"\xa0\xa1\xa3\xa4\xa7\xa8\xa9\xaa\xc0\xc1\xc3\xc4\xc7\xc8\xc9\xca\xe0\xe1\xe3\xec\xed\xef\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"

// vecEffect is effect for vector instructions (5.4.8).
func vecEffect(op uint32) int {
	switch {
	case op == vecConst:
		return 1
	case op == vecStore, op >= 0x58 && op <= vecStoreLane, op == 0x52: // store, store lane, bitselect
		return -2
	case op < vecStore, op >= 0x0f && op <= 0x16, op == 0x18, op == 0x19, op == 0x1b, op == 0x1d, op == 0x1f, op == 0x21,
		op == 0x4d, op == 0x53, op >= vecLoad32Zero && op <= 0x5f: // loads, splats, lanes out, not, any_true, conversions
		return 0
	case op >= 0x60 && strings.IndexByte(vecUnary, byte(op)) >= 0:
		return 0
	}
	return -1
}
