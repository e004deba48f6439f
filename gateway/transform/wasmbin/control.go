package wasmbin

import (
	"errors"
	"fmt"
	"strings"
)

// control reads the instructions that move the program counter, and the few
// others without a range of their own.
func (w *walker) control(op byte) {
	if op != opBlock && op != opEnd && op != opDrop {
		w.charge(costPlain)
	}
	switch op {
	case opUnreachable, opReturn:
		w.dead()
	case opNop:
	case opDrop:
		w.grow(-1)
	case opSelect:
		w.grow(-2)
	case opBlock:
		w.open(op)
	case opIf:
		w.grow(-1)
		w.open(op)
		w.pay(w.paying)
	case opLoop:
		w.open(op)
		w.loops++
		w.pay(-1)
		w.charge(costPlain)
	case opElse:
		w.orElse()
	case opEnd:
		w.close()
	case opBr:
		w.label()
		w.dead()
	case opBrIf:
		w.grow(-1)
		w.label()
		w.pay(w.paying)
	case opBrTable:
		w.table()
	case opCall:
		w.call()
	case opCallIndirect:
		w.callIndirect()
	case opSelectT:
		w.selectTyped()
	default:
		w.fail(fmt.Errorf("opcode %#x is not allowed", op))
	}
}

// dead is called where the code that follows cannot run.
func (w *walker) dead() { w.height = w.frames[len(w.frames)-1].base }

// label reads the target of a branch, which moves the values that it takes along.
func (w *walker) label() {
	i := w.u32()
	if w.err == nil && int(i) >= len(w.frames) {
		w.fail(fmt.Errorf("label %d does not exist", i))
	}
	if w.err != nil {
		return
	}
	f := w.frames[len(w.frames)-1-int(i)]
	if f.op == opLoop {
		w.charge(int64(f.params))
		return
	}
	w.charge(int64(f.results))
}

// open reads a block type (Core 2.0, 5.4.1): empty, one value or a type index.
func (w *walker) open(op byte) {
	f := frame{op: op, paying: w.paying}
	switch t := w.signed(33); {
	case w.err != nil:
	case t == -64: // no parameter, no result
	case t < 0:
		checkType(w.reader, byte(t&0x7f))
		f.results = 1
	case t >= int64(len(w.d.m.Types)):
		w.fail(fmt.Errorf("type %d does not exist", t))
	default:
		f.params, f.results = len(w.d.m.Types[t].Params), len(w.d.m.Types[t].Results)
		w.charge(int64(f.results))
	}
	f.base = w.height - f.params
	if w.frames = append(w.frames, f); len(w.frames) > w.d.lim.Depth {
		w.fail(fmt.Errorf("blocks nest deeper than %d", w.d.lim.Depth))
	}
}

func (w *walker) orElse() {
	top := &w.frames[len(w.frames)-1]
	if top.op != opIf {
		w.fail(errors.New("else without if"))
	}
	top.op = opElse
	w.height = top.base + top.params
	w.pay(top.paying)
}

// close ends a block. What follows is paid for where the block was, or by a
// point of its own, because a branch may have skipped the end of the block.
func (w *walker) close() {
	top := w.frames[len(w.frames)-1]
	w.frames = w.frames[:len(w.frames)-1]
	w.height = top.base + top.results
	if top.op == opLoop {
		w.loops--
	}
	if w.paying = top.paying; len(w.frames) > 0 {
		w.pay(top.paying)
	}
}

func (w *walker) table() {
	w.grow(-1)
	n := w.count("branch targets", w.d.lim.Body)
	w.charge(costCall)
	paid := w.points[w.paying].cost
	for ; n >= 0 && w.err == nil; n-- {
		// All labels take the same number of values, and one of them is taken.
		w.points[w.paying].cost = paid
		w.label()
	}
	w.dead()
}

func (w *walker) call() {
	f := w.unsigned(w.d.lim.SignedCalls)
	w.charge(costCall)
	if w.err == nil && int(f) >= len(w.d.m.Funcs) {
		w.fail(fmt.Errorf("function %d does not exist", f))
	}
	if w.err != nil {
		return
	}
	if int(f) < len(w.d.m.Imports) {
		w.charge(costImport)
	}
	w.enter(w.d.m.Types[w.d.m.Funcs[f]])
}

func (w *walker) callIndirect() {
	w.grow(-1)
	t := w.u32()
	if w.err == nil && int(t) >= len(w.d.m.Types) {
		w.fail(fmt.Errorf("type %d does not exist", t))
	}
	zero(w.reader, "table index")
	w.charge(costIndirect)
	if w.err == nil {
		w.enter(w.d.m.Types[t])
	}
}

// enter pays for what the stack may have to hold during a call: what the function
// keeps, parameters included, and what the other one returns.
func (w *walker) enter(t FuncType) {
	vectors := strings.Count(t.Params+t.Results, string(rune(V128)))
	w.charge(w.d.lim.Slot * (w.slots() + int64(len(t.Results)+2*vectors)))
	w.grow(-len(t.Params))
	w.grow(len(t.Results))
}

func (w *walker) selectTyped() {
	if n := w.u32(); w.err == nil && n != 1 {
		w.fail(errors.New("select of more than one value"))
	}
	checkType(w.reader, w.byte())
	w.grow(-2)
}
