package principal

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"portcullis/gateway/call"
)

// Parts of a mapped subject that no plain byte and no escaped one can make.
const (
	lead    = "_~-" // in front of a name that would begin with an escape
	cut     = "~~"  // between the head of a long name and the digest of all of it
	digits  = 2 * sha256.Size
	maxHead = call.MaxName - len(cut) - digits
)

// Plain reports whether a raw subject is its own segment: letters, digits, "_",
// "-", "@" and single dots, none of them in front, 128 bytes at most.
func Plain(raw string) bool {
	_, err := call.ParseSubject(raw)
	return err == nil && !strings.Contains(raw, "~")
}

// Segment maps any subject to one safe segment. A plain one is its own segment; in
// every other each byte that is not plain is "~" and two hex digits, and one that
// would be too long keeps its head and ends in "~~" and the SHA-256 of the whole.
// Two subjects never have the same segment: a plain segment has no "~", "~" is
// always followed by what it stands for, and upper and lower case, composed and
// decomposed letters stay different bytes.
func Segment(raw string) string {
	if Plain(raw) {
		return raw
	}
	escaped, end := escape(raw)
	if len(escaped) <= call.MaxName {
		return escaped
	}
	sum := sha256.Sum256([]byte(raw))
	return escaped[:end] + cut + hex.EncodeToString(sum[:])
}

// escape returns the escaped form, and how much of it is the head of a long name:
// no escape is cut in two.
func escape(raw string) (escaped string, head int) {
	var b strings.Builder
	for i := range len(raw) {
		if b.Len() <= maxHead {
			head = b.Len()
		}
		switch c := raw[i]; {
		case plainByte(c), c == '.' && i > 0 && raw[i-1] != '.':
			b.WriteByte(c)
		default:
			if i == 0 {
				b.WriteString(lead)
			}
			b.WriteByte('~')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	return b.String(), head
}

func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '@'
}
