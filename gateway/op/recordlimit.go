package op

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// shortened is what a record keeps of a long text: how it begins, and the length
// and the SHA-256 of what was sent.
func shortened(text, sent []byte) jsontext.Value {
	begin := text[:MaxRecorded]
	for len(begin) > 0 && !utf8.RuneStart(text[len(begin)]) {
		begin = begin[:len(begin)-1]
	}
	sum := sha256.Sum256(sent)
	b, _ := jsontext.AppendQuote([]byte(`{"prefix":`), valid(string(begin))) // valid text is always quoted
	b = strconv.AppendInt(append(b, `,"bytes":`...), int64(len(sent)), 10)
	b = hex.AppendEncode(append(b, `,"sha256":"`...), sum[:])
	return append(b, `"}`...)
}

// boundMembers appends an object to dst, with what is too long of its members
// shortened. What is hashed of a member that is no text is what a record would hold.
func boundMembers(dst, object []byte) ([]byte, error) {
	dec := inPlace(object)
	if _, err := dec.ReadToken(); err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	for first := true; dec.PeekKind() == '"'; first = false {
		name, err := dec.ReadValue()
		if err != nil {
			return dst, err
		}
		if !first {
			dst = append(dst, ',')
		}
		dst = append(append(dst, name...), ':')
		value, err := dec.ReadValue()
		if err != nil {
			return dst, err
		}
		if len(value) > 2*MaxRecorded && value.Kind() != '"' {
			value = shortened(value, value)
		}
		dst = append(dst, value...)
	}
	return append(dst, '}'), nil
}

// valid is a text that JSON can hold.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
