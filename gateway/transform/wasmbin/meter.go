package wasmbin

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FuelExport is the name under which the host finds the counter of a metered
// module.
const FuelExport = "$fuel"

// StartFuel is what the counter holds at first if there is a start function,
// which runs before the host can set anything.
const StartFuel = 20_000_000

// Meter returns the module with a fuel counter (an i64 global that starts at
// zero), its memory capped at maxPages, only the exports in keep, and each
// mutable global exported as [GlobalName]. Out of fuel is an
// unreachable instruction with a counter below zero. The counter has the first
// index after the guest's own globals, which [Decode] has shown to be unused.
func (m *Module) Meter(maxPages uint32, keep ...string) ([]byte, error) {
	if !m.Memory.Present {
		return nil, errors.New("module has no memory")
	}
	if m.Memory.Min > maxPages {
		return nil, fmt.Errorf("memory starts with %d pages, the limit is %d", m.Memory.Min, maxPages)
	}
	out := append(make([]byte, 0, m.Size*3/2+64), header...)
	for _, id := range []byte{secType, secImport, secFunction, secTable} {
		out = appendSection(out, id, m.raw[id])
	}
	out = appendSection(out, secMemory, m.memorySection(maxPages))
	out = appendSection(out, secGlobal, m.globalSection())
	out = appendSection(out, secExport, m.exportSection(keep))
	for _, id := range []byte{secStart, secElement, secDataCount} {
		out = appendSection(out, id, m.raw[id])
	}
	out = appendSection(out, secCode, m.codeSection(maxPages))
	return appendSection(out, secData, m.raw[secData]), nil
}

func appendSection(out []byte, id byte, body []byte) []byte {
	if body == nil {
		return out
	}
	out = binary.AppendUvarint(append(out, id), uint64(len(body)))
	return append(out, body...)
}

func (m *Module) memorySection(maxPages uint32) []byte {
	hi := maxPages
	if m.Memory.HasMax {
		hi = min(hi, m.Memory.Max)
	}
	out := binary.AppendUvarint([]byte{1, 1}, uint64(m.Memory.Min))
	return binary.AppendUvarint(out, uint64(hi))
}

func (m *Module) globalSection() []byte {
	out := binary.AppendUvarint(nil, uint64(len(m.Globals)+1))
	if raw := m.raw[secGlobal]; raw != nil {
		r := &reader{buf: raw}
		r.u32()
		out = append(out, raw[r.pos:]...)
	}
	fuel := int64(0)
	if m.Start {
		fuel = StartFuel
	}
	return append(appendSigned(append(out, I64, 1, opI64Const), fuel), opEnd)
}

func (m *Module) exportSection(keep []string) []byte {
	var out []byte
	n := 0
	add := func(name string, kind byte, index int) {
		n++
		out = binary.AppendUvarint(out, uint64(len(name)))
		out = append(append(out, name...), kind)
		out = binary.AppendUvarint(out, uint64(index))
	}
	for _, name := range keep {
		if e, ok := m.Exported(name); ok {
			add(name, e.Kind, int(e.Index))
		}
	}
	for i, g := range m.Globals {
		if g.Mutable {
			add(GlobalName(i), 3, i)
		}
	}
	add(FuelExport, 3, len(m.Globals))
	return append(binary.AppendUvarint(nil, uint64(n)), out...)
}

func (m *Module) codeSection(maxPages uint32) []byte {
	if m.raw[secCode] == nil {
		return nil
	}
	out := binary.AppendUvarint(make([]byte, 0, m.Size*3/2), uint64(len(m.Bodies)))
	for _, b := range m.Bodies {
		body := b.metered(m, maxPages)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out
}
