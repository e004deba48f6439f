package wasmbin

import (
	"errors"
	"fmt"
)

// point is a place where metering is inserted: before the instruction at pos.
type point struct {
	pos  int
	kind byte
	cost int64
	// parent is the point that pays instead if this one is not worth its own
	// code; -1 where there is none.
	parent int
	folded int64
}

const (
	// atCode charges a fixed cost, for the instructions up to the next place to
	// which or from which a branch can go. Small stretches are paid in advance by
	// the point before the branch, which only ever charges too much. Loops always
	// have a point, so nothing runs again unpaid.
	atCode byte = iota
	// atBulk charges the length on top of the stack, shifted right by its cost;
	// atGrow charges the pages.
	atBulk
	atGrow
)

// frame is an open block; paying is what paid when it was opened.
type frame struct {
	op     byte
	paying int
	// base is the height below the block's own values, of which it takes and
	// leaves so many.
	base, params, results int
}

// walker reads one function body.
type walker struct {
	*reader
	d      *decoder
	locals int
	frames []frame
	points []point
	// paying is the index of the point that pays for what is read now.
	paying int
	// loops is how many loops are open.
	loops int
	// height is the number of values on the operand stack.
	height int
	// access is the price of an access to memory, shift that of a bulk operation.
	access, shift int64
}

func (d *decoder) body(buf []byte, ft FuncType) (Body, error) {
	r := &reader{buf: buf}
	b := Body{Locals: len(ft.Params)}
	b.ngroup = r.count("local groups", d.lim.Locals)
	start := r.pos
	for i := 0; i < b.ngroup && r.err == nil; i++ {
		n := r.u32()
		if uint64(b.Locals)+uint64(n) > uint64(d.lim.Locals) {
			return b, fmt.Errorf("more than %d locals", d.lim.Locals)
		}
		b.Locals += int(n)
		checkType(r, r.byte())
	}
	if r.err != nil {
		return b, r.err
	}
	b.groups = buf[start:r.pos]
	b.code = buf[r.pos:]
	return b, d.walk(&b, len(ft.Results))
}

func (d *decoder) walk(b *Body, results int) error {
	if len(b.code) > d.lim.Body {
		return fmt.Errorf("body has %d bytes, at most %d are allowed", len(b.code), d.lim.Body)
	}
	w := &walker{reader: &reader{buf: b.code}, d: d, locals: b.Locals, access: costMemory, shift: bulkShift}
	if d.m.Memory.Min > d.lim.Near {
		w.access, w.shift = costFar, farShift
	}
	w.frames = append(w.frames, frame{op: opBlock, results: results})
	w.points = append(w.points, point{kind: atCode, cost: costEntry + int64(b.Locals+results), parent: -1})
	for len(w.frames) > 0 && w.err == nil {
		w.instruction()
	}
	if w.err == nil && w.left() > 0 {
		return errors.New("bytes after the last end")
	}
	b.points = fold(w.points)
	return w.err
}

// pay starts a point that pays for what follows, or lets its parent do so.
func (w *walker) pay(parent int) {
	w.weigh()
	w.points = append(w.points, point{pos: w.pos, kind: atCode, parent: parent})
	w.paying = len(w.points) - 1
}

// weigh bounds the time of a compilation, which grows with the number of places to
// which a branch can go, the locals that each has to know of, and the loops around it.
func (w *walker) weigh() {
	w.d.weight += int64(w.locals) * int64(1+w.loops)
	if w.d.weight > w.d.lim.Weight {
		w.fail(errors.New("branches, locals and nested loops are too many to compile in time"))
	}
}

// fold moves small costs to their parents. A parent stands before its children
// and runs at least as often as each of them. What one parent takes is bounded:
// Go's compiler puts a function into one loop with a block for each place to jump
// to, and the loop must not pay for all of them at every jump.
func fold(points []point) []point {
	kept := len(points)
	for i := len(points) - 1; i >= 0; i-- {
		p := points[i]
		if p.kind == atCode && p.parent >= 0 && p.cost < costPoint && points[p.parent].folded+p.cost <= maxFolded {
			points[p.parent].cost += p.cost
			points[p.parent].folded += p.cost
			continue
		}
		kept--
		points[kept] = p
	}
	return points[kept:]
}

func (w *walker) charge(n int64) { w.points[w.paying].cost += n }

// instruction reads one instruction. An opcode that is not listed is refused.
func (w *walker) instruction() {
	at := w.pos
	op := w.byte()
	switch {
	case w.err != nil:
	case op >= opFirstLoad && op <= opLastStore:
		w.memarg()
		w.charge(w.access)
		if op >= opFirstStore {
			w.grow(-2)
		}
	case op > opF64Const && op <= opLastNumeric:
		w.charge(price(op))
		w.grow(effect(op))
	case op >= opLocalGet && op <= opGlobalSet:
		w.variable(op)
	case op >= opMemorySize && op <= opF64Const:
		w.literal(op, at)
	case op == opMisc:
		w.misc(at)
	case op == opVec:
		w.vector()
	default:
		w.control(op)
	}
}

// variable reads an access to a local or a global. Reading a local is free.
func (w *walker) variable(op byte) {
	if op >= opGlobalGet {
		w.index(len(w.d.m.Globals), "global")
	} else {
		w.index(w.locals, "local")
	}
	if op != opLocalGet {
		w.charge(costPlain)
	}
	switch op {
	case opLocalGet, opGlobalGet:
		w.grow(1)
	case opLocalSet, opGlobalSet:
		w.grow(-1)
	}
}

func (w *walker) index(n int, what string) {
	if i := w.u32(); w.err == nil && int(i) >= n {
		w.fail(fmt.Errorf("%s %d does not exist", what, i))
	}
}

func (w *walker) memarg() {
	align := w.u32()
	w.u32()
	if w.err == nil && (align > 4 || !w.d.m.Memory.Present) {
		w.fail(errors.New("memory access without memory or with bad alignment"))
	}
}

func (w *walker) literal(op byte, at int) {
	if op != opMemoryGrow {
		w.grow(1)
	}
	switch op {
	case opMemorySize:
		zero(w.reader, "memory index")
		w.charge(costPlain)
	case opMemoryGrow:
		zero(w.reader, "memory index")
		w.charge(costGrow)
		w.points = append(w.points, point{pos: at, kind: atGrow})
	case opI32Const:
		w.signed(32)
	case opI64Const:
		w.signed(64)
	case opF32Const:
		w.bytes(4)
	case opF64Const:
		w.bytes(8)
	}
}

// misc allows the bulk operations on memory. Those on tables and the dropping
// of segments are state that no reset reaches.
func (w *walker) misc(at int) {
	op := w.u32()
	switch {
	case w.err != nil:
		return
	case op < miscMemoryInit:
		w.charge(costCall)
		return
	case op == miscMemoryInit:
		w.index(w.d.dataNum, "data segment")
	case op == miscMemoryCopy:
		zero(w.reader, "memory index")
	case op != miscMemoryFill:
		w.fail(fmt.Errorf("opcode 0xfc %#x is not allowed", op))
	}
	zero(w.reader, "memory index")
	w.charge(costBulk)
	w.grow(-3)
	w.points = append(w.points, point{pos: at, kind: atBulk, cost: w.shift})
}

func (w *walker) vector() {
	op := w.u32()
	w.grow(vecEffect(op))
	switch {
	case op > 0xff:
		w.fail(fmt.Errorf("opcode 0xfd %#x is not allowed", op))
	case op <= vecStore, op == vecLoad32Zero, op == vecLoad64Zero:
		w.memarg()
		w.charge(w.access)
	case op == vecConst, op == vecShuffle:
		w.bytes(16)
		w.charge(vecPrice(op))
	case op >= vecFirstLane && op <= vecLastLane:
		w.byte()
		w.charge(costVector)
	case op >= vecLoadLane && op <= vecStoreLane:
		w.memarg()
		w.byte()
		w.charge(w.access)
	default:
		w.charge(vecPrice(op))
	}
}
