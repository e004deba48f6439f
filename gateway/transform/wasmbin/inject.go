package wasmbin

import "encoding/binary"

// injector appends metering code. It uses two locals of its own, behind those
// of the function: an i64 that holds the counter and an i32 for a length.
type injector struct {
	out         []byte
	fuel, local uint32
	pages, near uint32
}

// metered returns the body with its metering, ready to stand in a code section.
func (b *Body) metered(m *Module, pages uint32) []byte {
	in := &injector{
		out: make([]byte, 0, len(b.code)*3/2+32), fuel: uint32(len(m.Globals)), local: uint32(b.Locals),
		pages: pages, near: m.Near,
	}
	in.out = binary.AppendUvarint(in.out, uint64(b.ngroup+2))
	in.out = append(in.out, b.groups...)
	in.out = append(in.out, 1, I64, 1, I32)
	last := 0
	for _, p := range b.points {
		in.out = append(in.out, b.code[last:p.pos]...)
		last = p.pos
		in.charge(p)
	}
	return append(in.out, b.code[last:]...)
}

// charge leaves the operand stack as it found it.
func (in *injector) charge(p point) {
	if p.kind == atBulk || p.kind == atGrow {
		in.op(opLocalTee, in.local+1)
	}
	in.op(opGlobalGet, in.fuel)
	switch p.kind {
	case atBulk:
		in.op(opLocalGet, in.local+1)
		in.byLength(p.cost)
	case atGrow:
		in.smaller()
		in.byPage()
	default:
		in.i64(p.cost)
	}
	in.out = append(in.out, opI64Sub)
	in.op(opLocalTee, in.local)
	in.op(opGlobalSet, in.fuel)
	in.op(opLocalGet, in.local)
	in.i64(0)
	in.out = append(in.out, opI64LtS, opIf, 0x40, opUnreachable, opEnd)
}

func (in *injector) op(op byte, index uint32) {
	in.out = binary.AppendUvarint(append(in.out, op), uint64(index))
}

func (in *injector) i64(v int64) {
	in.out = appendSigned(append(in.out, opI64Const), v)
}

func (in *injector) byLength(shift int64) {
	in.out = append(in.out, opI64ExtendU)
	in.i64(shift)
	in.out = append(in.out, opI64ShrU)
}

// smaller takes the pages asked for or, when that is less, one more than the
// memory may ever have: a request that must fail costs no more than that.
func (in *injector) smaller() {
	limit := int64(in.pages) + 1
	in.op(opLocalGet, in.local+1)
	in.out = appendSigned(append(in.out, opI32Const), limit)
	in.op(opLocalGet, in.local+1)
	in.out = appendSigned(append(in.out, opI32Const), limit)
	in.out = append(in.out, opI32LtU, opSelect)
}

// byPage multiplies by the price of a page, which depends on where the memory ends
// when it has grown.
func (in *injector) byPage() {
	in.out = append(in.out, opI64ExtendU)
	in.i64(costPage)
	in.i64(costFarPage)
	in.out = append(in.out, opMemorySize, 0)
	in.op(opLocalGet, in.local+1)
	in.out = appendSigned(append(in.out, opI32Add, opI32Const), int64(in.near))
	in.out = append(in.out, opI32LeU, opSelect, opI64Mul)
}

// appendSigned writes the shortest signed LEB128.
func appendSigned(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
