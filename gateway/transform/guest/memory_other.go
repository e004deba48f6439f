//go:build !linux

package guest

// memory is a linear memory that at least doubles when it must move. Growing
// page by page then copies each byte about once, whatever the guest does.
type memory struct {
	buf []byte
	max uint64
}

func allocate(limit uint64) *memory { return &memory{max: limit} }

// Reallocate returns the memory with the new length.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.buf)) {
		grown := make([]byte, len(m.buf), min(max(size, 2*uint64(cap(m.buf))), m.max))
		copy(grown, m.buf)
		m.buf = grown
	}
	m.buf = m.buf[:size]
	return m.buf
}

// zero clears all of it.
func (m *memory) zero() { clear(m.buf) }

// Free drops the memory.
func (m *memory) Free() { m.buf = nil }
