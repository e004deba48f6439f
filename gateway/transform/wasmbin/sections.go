package wasmbin

import (
	"errors"
	"fmt"
)

func (d *decoder) types(r *reader) {
	for n := r.count("types", d.lim.Types); n > 0 && r.err == nil; n-- {
		if b := r.byte(); b != 0x60 && r.err == nil {
			r.fail(fmt.Errorf("type form %#x is not a function", b))
		}
		d.m.Types = append(d.m.Types, FuncType{Params: valueTypes(r), Results: valueTypes(r)})
	}
}

func valueTypes(r *reader) string {
	b := r.bytes(uint32(r.count("values in a signature", 100)))
	for _, t := range b {
		checkType(r, t)
	}
	return string(b)
}

// checkType refuses references: tables of them would be state that a reset of
// the memory does not reach.
func checkType(r *reader, t byte) {
	if t < V128 || t > I32 {
		r.fail(fmt.Errorf("value type %#x is not allowed", t))
	}
}

func (d *decoder) typeIndex(r *reader) uint32 {
	i := r.u32()
	if r.err == nil && int(i) >= len(d.m.Types) {
		r.fail(fmt.Errorf("type %d does not exist", i))
	}
	return i
}

func (d *decoder) imports(r *reader) {
	for n := r.count("imports", 64); n > 0 && r.err == nil; n-- {
		mod, name := r.name(), r.name()
		if kind := r.byte(); r.err == nil && kind != 0 {
			r.fail(fmt.Errorf("import %q from %q is not a function", name, mod))
			return
		}
		im := Import{Module: mod, Name: name, Type: d.typeIndex(r)}
		if r.err == nil && (d.lim.Import == nil || !d.lim.Import(mod, name)) {
			r.fail(fmt.Errorf("import %q from %q is not allowed", name, mod))
		}
		d.m.Imports = append(d.m.Imports, im)
		d.m.Funcs = append(d.m.Funcs, im.Type)
	}
}

func (d *decoder) functions(r *reader) {
	d.declared = r.count("functions", d.lim.Funcs)
	for n := d.declared; n > 0 && r.err == nil; n-- {
		d.m.Funcs = append(d.m.Funcs, d.typeIndex(r))
	}
}

func (d *decoder) tables(r *reader) {
	d.m.Tables = r.count("tables", 1)
	if d.m.Tables == 0 {
		return
	}
	if t := r.byte(); t != 0x70 && r.err == nil {
		r.fail(errors.New("only a table of functions is allowed"))
	}
	lo, _, _ := limits(r)
	d.table = lo
	if r.err == nil && lo > d.lim.Table {
		r.fail(fmt.Errorf("table has %d entries, at most %d are allowed", lo, d.lim.Table))
	}
}

// limits reads a size range. Flag 2 and 3 mean shared, 4 and above 64 bit:
// neither is allowed.
func limits(r *reader) (lo, hi uint32, hasMax bool) {
	switch flag := r.byte(); {
	case r.err != nil:
		return 0, 0, false
	case flag == 0:
		return r.u32(), 0, false
	case flag == 1:
		return r.u32(), r.u32(), true
	default:
		r.fail(fmt.Errorf("limits flag %#x: shared or 64-bit memory is not allowed", flag))
		return 0, 0, false
	}
}

func (d *decoder) memory(r *reader) {
	if r.count("memories", 1) == 0 {
		return
	}
	lo, hi, hasMax := limits(r)
	d.m.Memory = Memory{Present: true, Min: lo, Max: hi, HasMax: hasMax}
	if r.err == nil && lo > d.lim.Pages {
		r.fail(fmt.Errorf("memory starts with %d pages, at most %d are allowed", lo, d.lim.Pages))
	}
	if r.err == nil && hasMax && hi < lo {
		r.fail(fmt.Errorf("memory maximum %d is below its minimum %d", hi, lo))
	}
}

func (d *decoder) globals(r *reader) {
	for n := r.count("globals", d.lim.Globals); n > 0 && r.err == nil; n-- {
		g := Global{Type: r.byte()}
		checkType(r, g.Type)
		mut := r.byte()
		if g.Mutable = mut == 1; r.err == nil && (mut > 1 || g.Mutable && g.Type == V128) {
			r.fail(errors.New("global with this mutability is not allowed"))
		}
		_ = constant(r, g.Type)
		d.m.Globals = append(d.m.Globals, g)
	}
}

// constant reads an initial value: one literal of the type, nothing else. It
// returns that of an i32, which as an address has no sign.
func constant(r *reader, t byte) (v uint32) {
	op := r.byte()
	switch {
	case r.err != nil:
		return 0
	case t == I32 && op == opI32Const:
		v = uint32(r.signed(32))
	case t == I64 && op == opI64Const:
		r.signed(64)
	case t == F32 && op == opF32Const:
		r.bytes(4)
	case t == F64 && op == opF64Const:
		r.bytes(8)
	case t == V128 && op == opVec && r.u32() == vecConst:
		r.bytes(16)
	default:
		r.fail(fmt.Errorf("initial value starts with opcode %#x", op))
	}
	if b := r.byte(); r.err == nil && b != opEnd {
		r.fail(errors.New("initial value is more than one literal"))
	}
	return v
}
