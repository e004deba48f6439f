package guest

import "syscall"

// discardFrom is the size in bytes from which it costs less to give pages back and
// get zeros for those that are used again than to clear all of them.
const discardFrom = 256 << 10

// memory is a linear memory with addresses for all that it may ever be, so that it
// never moves. It lies outside the heap: what guests use does not make the garbage
// collector run, and pages that no guest touches do not exist.
type memory struct {
	all, buf []byte
	// mapped is false where the system had no addresses left, and all is a slice.
	mapped bool
}

func allocate(limit uint64) *memory {
	all, err := syscall.Mmap(-1, 0, int(limit), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		all = make([]byte, limit)
	}
	return &memory{all: all, mapped: err == nil}
}

// Reallocate returns the memory with the new length.
func (m *memory) Reallocate(size uint64) []byte {
	m.buf = m.all[:size]
	return m.buf
}

// zero clears all of it.
func (m *memory) zero() {
	if !m.mapped || len(m.buf) < discardFrom || syscall.Madvise(m.buf, syscall.MADV_DONTNEED) != nil {
		clear(m.buf)
	}
}

// Free gives the memory back. Nothing may use it any more.
func (m *memory) Free() {
	if m.mapped {
		_ = syscall.Munmap(m.all) // it fails for addresses that are not mapped, only
	}
	*m = memory{}
}
