package wasmbin

import (
	"errors"
	"fmt"
)

func (d *decoder) exports(r *reader) {
	seen := map[string]bool{}
	for n := r.count("exports", d.lim.Exports); n > 0 && r.err == nil; n-- {
		e := Export{Name: r.name(), Kind: r.byte(), Index: r.u32()}
		if r.err == nil && seen[e.Name] {
			r.fail(fmt.Errorf("export %q appears twice", e.Name))
		}
		seen[e.Name] = true
		d.exportIndex(r, e)
		d.m.Exports = append(d.m.Exports, e)
	}
}

func (d *decoder) exportIndex(r *reader, e Export) {
	count := 0
	switch e.Kind {
	case 0:
		count = len(d.m.Funcs)
	case 1:
		count = d.m.Tables
	case 2:
		if d.m.Memory.Present {
			count = 1
		}
	case 3:
		count = len(d.m.Globals)
	}
	if r.err == nil && int(e.Index) >= count {
		r.fail(fmt.Errorf("export %q has no target", e.Name))
	}
}

func (d *decoder) start(r *reader) {
	d.m.Start = true
	d.funcIndex(r)
}

func (d *decoder) funcIndex(r *reader) uint32 {
	i := r.u32()
	if r.err == nil && int(i) >= len(d.m.Funcs) {
		r.fail(fmt.Errorf("function %d does not exist", i))
	}
	return i
}

// elements accepts active segments of function indexes only, which is what
// compilers write.
func (d *decoder) elements(r *reader) {
	for n := r.count("element segments", d.lim.Segments); n > 0 && r.err == nil; n-- {
		flag := r.u32()
		if r.err == nil && (flag != 0 && flag != 2 || d.m.Tables == 0) {
			r.fail(fmt.Errorf("element segment of kind %d is not allowed", flag))
		}
		if flag == 2 {
			zero(r, "table index")
		}
		at := constant(r, I32)
		if flag == 2 {
			zero(r, "element kind")
		}
		k := r.count("elements", int(d.lim.Table))
		if r.err == nil && uint64(at)+uint64(k) > uint64(d.table) {
			r.fail(errors.New("element segment ends outside the table"))
		}
		for ; k > 0 && r.err == nil; k-- {
			if f := d.funcIndex(r); r.err == nil && int(f) < len(d.m.Imports) && !d.lim.TableImports {
				r.fail(errors.New("a table holds an imported function"))
			}
		}
	}
}

func zero(r *reader, what string) {
	if b := r.byte(); r.err == nil && b != 0 {
		r.fail(fmt.Errorf("%s is not zero", what))
	}
}

func (d *decoder) dataCount(r *reader) { d.dataNum = int(r.u32()) }

func (d *decoder) data(r *reader) {
	d.m.Segments = r.count("data segments", d.lim.Segments)
	for n := d.m.Segments; n > 0 && r.err == nil; n-- {
		flag := r.u32()
		if r.err == nil && (flag > 2 || flag != 1 && !d.m.Memory.Present) {
			r.fail(fmt.Errorf("data segment of kind %d is not allowed", flag))
		}
		if flag == 2 {
			zero(r, "memory index")
		}
		at, size := uint32(0), uint64(d.m.Memory.Min)<<16
		if flag != 1 {
			at = constant(r, I32)
		}
		if n := r.bytes(r.u32()); flag != 1 && r.err == nil && uint64(at)+uint64(len(n)) > size {
			r.fail(errors.New("data segment ends outside the memory"))
		}
	}
}

func (d *decoder) code(r *reader) {
	n := r.count("bodies", d.lim.Funcs)
	if r.err == nil && n != d.declared {
		r.fail(errors.New("number of bodies and functions differ"))
	}
	for i := 0; i < n && r.err == nil; i++ {
		buf := r.bytes(r.sizeField())
		if r.err != nil {
			return
		}
		b, err := d.body(buf, d.m.Types[d.m.Funcs[len(d.m.Imports)+i]])
		if err != nil {
			r.fail(fmt.Errorf("function %d: %w", len(d.m.Imports)+i, err))
		}
		d.m.Bodies = append(d.m.Bodies, b)
	}
}
