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

// AppendJSON implements op.Appender: a secret may be nearly a megabyte, and reads are
// most of what is called.
func (o kvReadOut) AppendJSON(b []byte) []byte {
	if len(o.CustomMetadata) > 0 {
		return nil
	}
	if b = o.appendData(b); b == nil {
		return nil
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

// appendData appends the beginning of an answer. Where nothing is before it, the data stay
// where they are, and the answer is made around them.
func (o kvReadOut) appendData(b []byte) []byte {
	data, whole := o.Data.Reveal(), o.came.Holds(o.Data.Reveal())
	if whole && !o.came.OneLine() || !whole && !op.OneLine(data) {
		return nil
	}
	if whole && b == nil {
		if b = o.came.Behind(before); b != nil {
			return b
		}
	}
	return append(append(slices.Grow(b, len(before)+len(data)+behind), before...), data...)
}

// Lent implements op.Lender.
func (o kvReadOut) Lent(body []byte) func() { return o.came.Lent(body) }
