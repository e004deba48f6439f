package audit

import (
	"encoding/hex"
	"strconv"
)

// ownRecord is a record of the log itself: what became of its file.
type ownRecord struct{ line }

func record(kind string) *ownRecord {
	r := &ownRecord{line{b: []byte{'{'}}}
	r.line.now()
	r.line.str("type", kind)
	return r
}

func (r *ownRecord) str(k, v string) *ownRecord {
	r.line.str(k, v)
	return r
}

func (r *ownRecord) num(k string, v int64) *ownRecord {
	r.line.num(k, v)
	return r
}

// place names a line: its number and its hash.
func (r *ownRecord) place(k link) *ownRecord {
	r.line.key("after_seq")
	r.b = strconv.AppendUint(r.b, k.seq, 10)
	r.line.str("after", hex.EncodeToString(k.sum[:]))
	return r
}

func (r *ownRecord) body() []byte { return append(r.b, '}') }
