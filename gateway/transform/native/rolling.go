package native

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// The rolling hash (Karp and Rabin) is a polynomial over the numbers below the
// prime 2^61-1 at a secret place: the hash of any part of a text follows from those
// of two of its beginnings, so that comparing a long value costs no more than a
// short one.
const prime = 1<<61 - 1

// newBase draws the secret place.
func newBase() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])%(prime-1<<32) + 1<<31
}

func mulmod(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	r := lo&prime + (lo>>61 | hi<<3)
	if r >= prime {
		r -= prime
	}
	return r
}

func addmod(a, b uint64) uint64 {
	if r := a + b; r < prime {
		return r
	}
	return a + b - prime
}

// knownOf is the hash of a whole value.
func (e *exact) knownOf(v []byte) known {
	k := known{length: len(v), shift: 1}
	for _, c := range v {
		k.sum = addmod(mulmod(k.sum, e.base), uint64(c)+1)
		k.shift = mulmod(k.shift, e.base)
	}
	return k
}

// sums are the hashes of the beginnings of a text, as far as they were needed.
type sums struct {
	owner string // whom the text is about, empty for nobody
	text  []byte
	base  uint64
	at    []uint64 // at[n] is the hash of text[:n]
}

func (e *exact) sumsOf(owner string, text []byte) *sums {
	h, ok := e.spare.Get().(*sums)
	if !ok {
		h = &sums{}
	}
	h.owner, h.text, h.base, h.at = owner, text, e.base, append(h.at[:0], 0)
	return h
}

func (e *exact) release(h *sums) {
	h.text = nil
	if cap(h.at) <= 64<<10 {
		e.spare.Put(h)
	}
}

// of is the hash of the part at i that is as long as k.
func (h *sums) of(i int, k known) uint64 {
	end := i + k.length
	for n := len(h.at); n <= end; n++ {
		h.at = append(h.at, addmod(mulmod(h.at[n-1], h.base), uint64(h.text[n-1])+1))
	}
	return addmod(h.at[end], prime-mulmod(h.at[i], k.shift))
}
