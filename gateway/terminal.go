package main

import (
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What commands say to people quotes names of files and values in them, which somebody else
// may have chosen.
func screen() terminal { return terminal{os.Stdout} }

// complaints is where commands say what is wrong.
func complaints() terminal { return terminal{os.Stderr} }

// terminal writes text for people. What a terminal would obey, or show as something else, is
// written as JSON escapes it; so JSON stays JSON.
type terminal struct{ w io.Writer }

// Write implements io.Writer. A character is whole in what is written at once.
func (t terminal) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsGraphic(r) && r != '\n' && r != '\t' {
			out = escape(out, r)
		} else {
			out = append(out, p[i:i+size]...)
		}
		i += size
	}
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// escape appends a character as RFC 8259 section 7 escapes it.
func escape(out []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
