package audit

import (
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// escapeHidden rewrites the characters of a record that are not ASCII and that no
// terminal shows as they are (controls, and those that turn the direction of a text) as
// JSON escapes. They can only stand in strings, so the record says the same; whoever
// looks at the file sees what is in it.
func escapeHidden(b []byte) []byte {
	at := firstHidden(b)
	if at < 0 {
		return b
	}
	out := append([]byte(nil), b[:at]...)
	for _, r := range string(b[at:]) {
		switch {
		case r < utf8.RuneSelf || unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xFFFF:
			r -= 0x10000 // a pair of surrogates (RFC 8259 section 7)
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// firstHidden is where the first of them begins, -1 when there is none.
func firstHidden(b []byte) int {
	const high = 0x8080808080808080 // set in what is not ASCII
	for i := 0; i < len(b); {
		if i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&high == 0 {
			i += 8
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r >= utf8.RuneSelf && !unicode.IsPrint(r) {
			return i
		}
		i += n
	}
	return -1
}
