package wasmbin

import (
	"errors"
	"fmt"
)

// control reads the instructions that move the program counter, and the few
// others without a range of their own.
func (w *walker) control(op byte) {
	if op != opBlock && op != opEnd && op != opDrop {
		w.charge(costPlain)
	}
	switch op {
	case opUnreachable, 0x01, opReturn, opDrop, opSelect:
	case opBlock:
		w.open(op)
	case opIf:
		w.open(op)
		w.pay(w.paying)
	case opLoop:
		w.open(op)
		w.pay(-1)
		w.charge(costPlain)
	case opElse:
		w.orElse()
	case opEnd:
		w.close()
	case opBr:
		w.index(len(w.frames), "label")
	case opBrIf:
		w.index(len(w.frames), "label")
		w.pay(w.paying)
	case opBrTable:
		w.table()
	case opCall:
		w.call()
	case opCallIndirect:
		w.index(len(w.d.m.Types), "type")
		zero(w.reader, "table index")
		w.charge(costIndirect)
	case opSelectT:
		w.selectTyped()
	default:
		w.fail(fmt.Errorf("opcode %#x is not allowed", op))
	}
}

// open reads a block type (Core 2.0, 5.4.1): empty, one value or a type index.
func (w *walker) open(op byte) {
	switch t := w.signed(33); {
	case w.err != nil:
	case t == -64: // no parameter, no result
	case t < 0:
		checkType(w.reader, byte(t&0x7f))
	case t >= int64(len(w.d.m.Types)):
		w.fail(fmt.Errorf("type %d does not exist", t))
	}
	if w.frames = append(w.frames, frame{op, w.paying}); len(w.frames) > w.d.lim.Depth {
		w.fail(fmt.Errorf("blocks nest deeper than %d", w.d.lim.Depth))
	}
}

func (w *walker) orElse() {
	top := &w.frames[len(w.frames)-1]
	if top.op != opIf {
		w.fail(errors.New("else without if"))
	}
	top.op = opElse
	w.pay(top.paying)
}

// close ends a block. What follows is paid for where the block was, or by a
// point of its own, because a branch may have skipped the end of the block.
func (w *walker) close() {
	top := w.frames[len(w.frames)-1]
	w.frames = w.frames[:len(w.frames)-1]
	if w.paying = top.paying; len(w.frames) > 0 {
		w.pay(top.paying)
	}
}

func (w *walker) table() {
	for n := w.count("branch targets", w.d.lim.Body); n >= 0 && w.err == nil; n-- {
		w.index(len(w.frames), "label")
	}
	w.charge(costCall)
}

func (w *walker) call() {
	f := w.unsigned(w.d.lim.SignedCalls)
	w.charge(costCall)
	if w.err == nil && int(f) >= len(w.d.m.Funcs) {
		w.fail(fmt.Errorf("function %d does not exist", f))
	}
	if int(f) < len(w.d.m.Imports) {
		w.charge(costImport)
	}
}

func (w *walker) selectTyped() {
	if n := w.u32(); w.err == nil && n != 1 {
		w.fail(errors.New("select of more than one value"))
	}
	checkType(w.reader, w.byte())
}
