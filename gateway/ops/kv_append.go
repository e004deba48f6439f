package ops

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// AppendJSON implements op.Appender: a secret may be nearly a megabyte, and reads are
// most of what is called.
func (o kvReadOut) AppendJSON(b []byte) []byte {
	data := o.Data.Reveal()
	if len(o.CustomMetadata) > 0 || !op.OneLine(data) {
		return nil
	}
	if b == nil {
		b = make([]byte, 0, len(data)+128) // the rest is a number and two times
	}
	b = append(append(b, `{"data":`...), data...)
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
