package mcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// toolResult wraps an operation's output: as text for old clients, as structured
// content for the others.
func toolResult(body []byte) jsontext.Value {
	b := make([]byte, 0, 2*len(body)+bytes.Count(body, []byte{'"'})+bytes.Count(body, []byte{'\\'})+96)
	b = append(b, `{"content":[{"type":"text","text":`...)
	b = appendQuoted(b, body)
	b = append(b, `}],"structuredContent":`...)
	b = append(b, body...)
	return append(b, '}')
}

// appendQuoted appends a JSON text as a JSON string (RFC 8259, section 7). The text is valid
// UTF-8.
func appendQuoted(b, text []byte) []byte {
	b = append(b, '"')
	for len(text) > 0 {
		n := unescaped(text)
		b, text = append(b, text[:n]...), text[n:]
		if len(text) == 0 {
			break
		}
		switch c := text[0]; {
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, '\\', c)
		}
		text = text[1:]
	}
	return append(b, '"')
}

// unescaped is how much of a JSON text stands in a string as it is, looked for eight bytes at a
// time: what is less than a space, or nothing once a quote or a backslash is taken from it,
// borrows from the highest bit of its byte. The first byte for which that is so is exact.
func unescaped(s []byte) int {
	const ones, highest = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		quote, escape := w^('"'*ones), w^('\\'*ones)
		if found := ((w-' '*ones)&^w | (quote-ones)&^quote | (escape-ones)&^escape) & highest; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}
