package ops

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// before is what stands in an answer before the data of a secret, and behind how many bytes
// those after it take at most: a number and two times.
const (
	before = `{"data":`
	behind = 128
)

// document is the data of a secret as they came, with room around them for the answer: a
// secret may be nearly a megabyte, and is copied once.
type document struct {
	buf []byte // begins with room for what stands before the data, and has capacity for the rest
}

// UnmarshalJSON keeps a copy.
func (d *document) UnmarshalJSON(raw []byte) error {
	d.buf = make([]byte, len(before), len(before)+len(raw)+behind)
	d.buf = append(d.buf, raw...)
	return nil
}

// raw are the data, nil when there are none.
func (d document) raw() []byte {
	if d.buf == nil {
		return nil
	}
	return d.buf[len(before):len(d.buf):len(d.buf)]
}

// begin is the start of an answer with the data, in the place where they are.
func (d document) begin() []byte {
	copy(d.buf, before)
	return d.buf
}

// holds reports whether data are those of the document.
func (d document) holds(data []byte) bool {
	own := d.raw()
	return len(own) > 0 && len(own) == len(data) && &own[0] == &data[0]
}

// AppendJSON implements op.Appender: a secret may be nearly a megabyte, and reads are
// most of what is called.
func (o kvReadOut) AppendJSON(b []byte) []byte {
	data := o.Data.Reveal()
	if len(o.CustomMetadata) > 0 || !op.OneLine(data) {
		return nil
	}
	if b == nil && o.around.holds(data) {
		b = o.around.begin()
	} else {
		b = append(append(slices.Grow(b, len(before)+len(data)+behind), before...), data...)
	}
	b = strconv.AppendInt(append(b, `,"version":`...), int64(o.Version), 10)
	b, err := jsontext.AppendQuote(append(b, `,"created_time":`...), o.CreatedTime)
	if err == nil && o.DeletionTime != "" {
		b, err = jsontext.AppendQuote(append(b, `,"deletion_time":`...), o.DeletionTime)
	}
	if err != nil {
		return nil
	}
	return append(b, '}')
}
