package verbatim

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

const (
	long   = 256     // bytes from which on a string is left out
	enough = 8 << 10 // bytes that are looked at before it is asked whether it is of any use
)

// shorten leaves out the inside of strings that are long, valid and no names. Outside of
// strings a quote begins one in any JSON text, so up to the first fault, if there is one,
// strings are found where the decoder finds them; and what is left out has no fault.
func shorten(raw []byte) *shortened {
	s := &shortened{raw: raw}
	done, gone := 0, 0 // bytes of raw that are in the short text or missing, and those missing
	for at := 0; at < enough || 2*gone > at; {
		start := bytes.IndexByte(raw[at:], '"')
		if start < 0 {
			break
		}
		start += at
		end := stringEnd(raw, start)
		if end < 0 {
			break
		}
		at = end
		if end-start < long || isName(raw[end:]) || !valid(raw[start+1:end-1]) {
			continue
		}
		s.short = append(s.short, raw[done:start+1]...)
		done = end - 1
		gone += end - start - 2
		s.cuts = append(s.cuts, cut{len(s.short), gone})
	}
	s.short = append(s.short, raw[done:]...)
	return s
}

// near is how many bytes are looked at one by one: what is looked for is often there, and
// bytes.IndexByte costs as much as to do so.
const near = 16

// stringEnd is the place behind the string that begins at start, -1 when it has no end.
func stringEnd(raw []byte, start int) int {
	for i := start + 1; i < len(raw); {
		switch n := quoteOrEscape(raw[i:]); {
		case n < 0: // not near
		case raw[i+n] == '"':
			return i + n + 1
		default:
			i += n + 2
			continue
		}
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return -1
		}
		end, escapes := i+n, 0
		for escapes < n && raw[end-escapes-1] == '\\' {
			escapes++
		}
		if i = end + 1; escapes%2 == 0 {
			return i
		}
	}
	return -1
}

// quoteOrEscape finds the first quote or backslash that is near, -1 when there is none.
func quoteOrEscape(s []byte) int {
	for i, c := range s[:min(near, len(s))] {
		if c == '"' || c == '\\' {
			return i
		}
	}
	return -1
}

// index is bytes.IndexByte for what is often near.
func index(s []byte, c byte) int {
	for i, b := range s[:min(near, len(s))] {
		if b == c {
			return i
		}
	}
	if len(s) > near {
		if i := bytes.IndexByte(s[near:], c); i >= 0 {
			return near + i
		}
	}
	return -1
}

// isName reports whether the string before rest is the name of a member.
func isName(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == ':'
		}
	}
	return false
}

// valid reports whether s may be the inside of a JSON string (RFC 8259, section 7, in
// UTF-8). Of a surrogate that is written as an escape it says no: the decoder knows pairs.
func valid(s []byte) bool {
	control, ascii := look(s)
	if control || !ascii && !utf8.Valid(s) {
		return false
	}
	for {
		i := index(s, '\\')
		if i < 0 {
			return true
		}
		n := escape(s[i:])
		if n == 0 {
			return false
		}
		s = s[i+n:]
	}
}

// look reports whether there are control characters in s, and nothing but ASCII, eight bytes
// at a time: what is less than a space borrows from the highest bit of its byte, and only
// what is not ASCII has that bit already.
func look(s []byte) (control, ascii bool) {
	const spaces, highest = 0x2020202020202020, 0x8080808080808080
	var low, high uint64
	for ; len(s) >= 32; s = s[32:] {
		a, b := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[8:])
		c, d := binary.LittleEndian.Uint64(s[16:]), binary.LittleEndian.Uint64(s[24:])
		low |= (a-spaces)&^a | (b-spaces)&^b | (c-spaces)&^c | (d-spaces)&^d
		high |= a | b | c | d
	}
	for _, c := range s {
		low |= uint64(c-0x20) &^ uint64(c)
		high |= uint64(c)
	}
	return low&highest != 0, high&highest == 0
}

// escape is the length of the escape that s begins with, 0 when it is not valid or is for a
// surrogate.
func escape(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		return hexEscape(s)
	}
	return 0
}

func hexEscape(s []byte) int {
	const length = len(`\u0000`)
	if len(s) < length {
		return 0
	}
	var r uint32
	for _, c := range s[2:length] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0
		}
		r = r<<4 | uint32(c)
	}
	if r >= 0xd800 && r < 0xe000 {
		return 0
	}
	return length
}
