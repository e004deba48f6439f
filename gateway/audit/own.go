package audit

import (
	"encoding/hex"
	"strconv"
	"time"
)

// ownRecord is a record of the log itself: what became of its file.
type ownRecord struct{ line }

func record(kind string) *ownRecord {
	r := &ownRecord{begin(nil)}
	r.line.Time("time", time.Now().UTC())
	r.line.Str("type", kind)
	return r
}

func (r *ownRecord) str(k, v string) *ownRecord {
	r.line.Str(k, v)
	return r
}

func (r *ownRecord) num(k string, v int64) *ownRecord {
	r.line.Int(k, v)
	return r
}

// place names a line: its number and its hash.
func (r *ownRecord) place(k link) *ownRecord {
	r.line.Key("after_seq")
	r.B = strconv.AppendUint(r.B, k.seq, 10)
	r.line.Str("after", hex.EncodeToString(k.sum[:]))
	return r
}

func (r *ownRecord) body() []byte { return r.End() }
