// Package jsonline appends JSON objects member by member. A record that is written for
// every call costs no allocation that way.
package jsonline

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object that is being written behind what B held before. Begin begins
// one, and End ends it.
type Object struct{ B []byte }

// Begin begins an object behind b.
func Begin(b []byte) Object { return Object{append(b, '{')} }

// Open begins an object that is a member; Close ends it.
func (o *Object) Open(k string) {
	o.Key(k)
	o.B = append(o.B, '{')
}

// Close ends the innermost object.
func (o *Object) Close() { o.B = append(o.B, '}') }

// End ends the object and returns all of what was written.
func (o *Object) End() []byte {
	o.Close()
	return o.B
}

// Key appends the name of the next member, which must need no escapes. Its value comes next.
func (o *Object) Key(k string) { o.B = key(o.B, k) }

// key works on a slice of its own: each store through a pointer costs as much as a byte.
func key(b []byte, k string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, k...)
	return append(b, '"', ':')
}

// Name appends the name of the next member, which can be any text.
func (o *Object) Name(k string) {
	if o.B[len(o.B)-1] != '{' {
		o.B = append(o.B, ',')
	}
	o.B = append(Quote(o.B, k), ':')
}

// Str appends a text.
func (o *Object) Str(k, v string) { o.B = Quote(key(o.B, k), v) }

// Opt appends a text that is not empty.
func (o *Object) Opt(k, v string) {
	if v != "" {
		o.Str(k, v)
	}
}

// Address appends an address. Its zone can be any text.
func (o *Object) Address(k string, a netip.Addr) {
	if a.Zone() != "" {
		o.Str(k, a.String())
		return
	}
	o.Key(k)
	o.B = append(a.AppendTo(append(o.B, '"')), '"')
}

// Time appends a time as RFC 3339 has it, with what it has of a second.
func (o *Object) Time(k string, t time.Time) {
	o.Key(k)
	o.B = append(t.AppendFormat(append(o.B, '"'), time.RFC3339Nano), '"')
}

// Int appends a whole number.
func (o *Object) Int(k string, v int64) {
	o.Key(k)
	o.Number(v)
}

// Number appends a whole number as the value whose name is there.
func (o *Object) Number(v int64) { o.B = strconv.AppendInt(o.B, v, 10) }

// Bool appends true or false.
func (o *Object) Bool(k string, v bool) {
	o.Key(k)
	o.B = strconv.AppendBool(o.B, v)
}

// Null appends null.
func (o *Object) Null(k string) {
	o.Key(k)
	o.B = append(o.B, "null"...)
}

// List appends texts.
func (o *Object) List(k string, vs []string) {
	o.Key(k)
	o.B = append(o.B, '[')
	for i, v := range vs {
		if i > 0 {
			o.B = append(o.B, ',')
		}
		o.B = Quote(o.B, v)
	}
	o.B = append(o.B, ']')
}

// Quote appends a text in quotes. One that is not UTF-8, which JSON cannot hold, is
// quoted as Go quotes it before.
func Quote(b []byte, v string) []byte {
	if plain(v) {
		b = append(b, '"')
		b = append(b, v...)
		return append(b, '"')
	}
	out, err := jsontext.AppendQuote(b, v)
	if err != nil {
		out, _ = jsontext.AppendQuote(b, strconv.QuoteToASCII(v)) // ASCII is always quoted
	}
	return out
}

// plain tells whether a text is ASCII that stands in JSON as it is (RFC 8259 section 7),
// as names, ids and codes do, of which a record is made. It looks at eight bytes at once.
func plain(v string) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for len(v) >= 8 {
		w := binary.LittleEndian.Uint64([]byte(v[:8]))
		quote, backslash := w^ones*'"', w^ones*'\\'
		if (w|(w-ones*' ')|(quote-ones)|(backslash-ones))&high != 0 {
			return false
		}
		v = v[8:]
	}
	for i := range len(v) {
		if c := v[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
