package wasmbin

import (
	"bytes"
	"errors"
	"fmt"
)

// Section ids of the binary format (Core 2.0, 5.5.2).
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

const header = "\x00asm\x01\x00\x00\x00"

// decoder holds what is known between two sections.
type decoder struct {
	m   *Module
	lim Limits
	// declared is the number of functions that must have a body.
	declared int
	dataNum  int
	weight   int64  // of the bodies so far
	table    uint32 // entries of the table at the start
}

// Decode reads a module and refuses everything outside the limits.
func Decode(bin []byte, lim Limits) (*Module, error) {
	if len(bin) > lim.Size {
		return nil, fmt.Errorf("module has %d bytes, at most %d are allowed", len(bin), lim.Size)
	}
	if !bytes.HasPrefix(bin, []byte(header)) {
		return nil, errors.New("not a WebAssembly 1 binary")
	}
	d := &decoder{m: &Module{Size: len(bin), Near: lim.Near}, lim: lim, dataNum: -1}
	if err := d.sections(&reader{buf: bin, pos: len(header)}); err != nil {
		return nil, err
	}
	return d.m, d.finish()
}

// order is the place of a section: the data count stands before the code.
func order(id byte) int {
	if id == secDataCount {
		return secElement*2 + 1
	}
	return int(id) * 2
}

func (d *decoder) sections(r *reader) error {
	last := 0
	for r.left() > 0 && r.err == nil {
		id, size := r.byte(), r.sizeField()
		body := r.bytes(size)
		if r.err != nil {
			return fmt.Errorf("section %d: %w", id, r.err)
		}
		if id == secCustom {
			d.custom(body)
			continue
		}
		if id > secDataCount || order(id) <= last {
			return fmt.Errorf("section %d is unknown, repeated or out of order", id)
		}
		last = order(id)
		if err := d.section(id, body); err != nil {
			return fmt.Errorf("section %d: %w", id, err)
		}
	}
	return r.err
}

// custom sections are dropped; the name is kept for people.
func (d *decoder) custom(body []byte) {
	r := &reader{buf: body}
	name := r.name()
	if r.err == nil && len(d.m.Customs) < 32 {
		d.m.Customs = append(d.m.Customs, Custom{Name: name, Size: len(body)})
	}
}

func (d *decoder) section(id byte, body []byte) error {
	r := &reader{buf: body}
	d.m.raw[id] = body
	read := [13]func(*reader){
		secType: d.types, secImport: d.imports, secFunction: d.functions, secTable: d.tables,
		secMemory: d.memory, secGlobal: d.globals, secExport: d.exports, secStart: d.start,
		secElement: d.elements, secDataCount: d.dataCount, secCode: d.code, secData: d.data,
	}
	read[id](r)
	if r.err == nil && r.left() > 0 {
		r.fail(errors.New("bytes after the end"))
	}
	return r.err
}

// finish checks what spans sections.
func (d *decoder) finish() error {
	switch {
	case len(d.m.Bodies) != d.declared:
		return fmt.Errorf("%d functions but %d bodies", d.declared, len(d.m.Bodies))
	case d.dataNum >= 0 && d.dataNum != d.m.Segments:
		return fmt.Errorf("data count is %d, there are %d segments", d.dataNum, d.m.Segments)
	case d.m.Start && !d.lim.Start:
		return errors.New("a start function is not allowed, export it as _initialize instead")
	}
	return nil
}
