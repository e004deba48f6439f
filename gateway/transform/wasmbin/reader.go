package wasmbin

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// errShort is the end of the input in the middle of something.
var errShort = errors.New("unexpected end")

// errLong marks an integer that is not in its shortest form. Two decoders can
// read such bytes differently, which is how an instruction is hidden.
var errLong = errors.New("integer is not in its shortest form (link with --compress-relocations)")

// reader walks bytes and remembers the first mistake. After one, every read
// returns zero, so callers check err once per item.
type reader struct {
	buf []byte
	pos int
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.buf)
}

func (r *reader) left() int { return len(r.buf) - r.pos }

func (r *reader) byte() byte {
	if r.pos >= len(r.buf) {
		r.fail(errShort)
		return 0
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(r.left()) {
		r.fail(errShort)
		return nil
	}
	b := r.buf[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// u32 reads an unsigned LEB128 of at most 32 bits in its shortest form.
func (r *reader) u32() uint32 { return r.unsigned(false) }

// unsigned reads an unsigned LEB128 in its shortest form or, when asked to, in
// the shortest form of a signed one: that has a zero byte more when the last
// byte would look negative.
func (r *reader) unsigned(orSigned bool) uint32 {
	var v uint64
	prev := byte(0)
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 != 0 {
			prev = b
			continue
		}
		if b == 0 && shift > 0 && !(orSigned && prev&0x40 != 0) {
			r.fail(errLong)
		}
		if v > 0xffffffff {
			break
		}
		return uint32(v)
	}
	r.fail(errors.New("integer is too large"))
	return 0
}

// sizeField reads the size of a section. Linkers write it before they know it,
// padded to exactly five bytes; that form and the shortest one are accepted.
func (r *reader) sizeField() uint32 {
	if r.left() < 5 || r.buf[r.pos]&r.buf[r.pos+1]&r.buf[r.pos+2]&r.buf[r.pos+3]&0x80 == 0 {
		return r.u32()
	}
	b := r.bytes(5)
	if b[4] > 0x0f {
		r.fail(errors.New("section size is too large"))
		return 0
	}
	return uint32(b[0]&0x7f) | uint32(b[1]&0x7f)<<7 | uint32(b[2]&0x7f)<<14 | uint32(b[3]&0x7f)<<21 | uint32(b[4])<<28
}

// signed reads a signed LEB128 of at most the given bits in its shortest form.
func (r *reader) signed(bits int) int64 {
	var v int64
	prev := byte(0)
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b&0x80 != 0 {
			prev = b
			continue
		}
		if shift > 0 && (b == 0 && prev&0x40 == 0 || b == 0x7f && prev&0x40 != 0) {
			r.fail(errLong)
		}
		return r.extend(v, b, shift, bits)
	}
	r.fail(errors.New("integer is too large"))
	return 0
}

// extend spreads the sign of the last byte and checks the bits beyond the type.
func (r *reader) extend(v int64, last byte, shift, bits int) int64 {
	if used := bits - shift; used < 7 {
		top := int8(last<<1) >> used
		if top != 0 && top != -1 {
			r.fail(errors.New("integer is too large"))
		}
	}
	if shift+7 < 64 && last&0x40 != 0 {
		v |= -1 << (shift + 7)
	}
	return v
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.fail(errors.New("name is not UTF-8"))
	}
	return string(b)
}

// count reads the length of a vector and holds it to a limit and to what the
// rest of the section can possibly contain.
func (r *reader) count(what string, limit int) int {
	n := r.u32()
	if r.err == nil && (uint64(n) > uint64(limit) || uint64(n) > uint64(r.left())) {
		r.fail(fmt.Errorf("%d %s, at most %d are allowed", n, what, min(limit, r.left())))
		return 0
	}
	return int(n)
}
