package inspect

import (
	"bytes"
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// head is what the verification reads of a line.
type head struct {
	Seq   uint64    `json:"seq"`
	Prev  string    `json:"prev"`
	Type  string    `json:"type"`
	Bytes int64     `json:"bytes"`
	Time  time.Time `json:"time"`
}

// parseHead reads all of the head. It reports false for what is no line of a chain.
func parseHead(line []byte) (h head, ok bool) {
	err := json.Unmarshal(line, &h, jsontext.AllowInvalidUTF8(true))
	return h, err == nil && h.Seq > 0
}

// place reads number and hash of a line that begins as the log begins each, without
// looking at the rest: what the rest is, the hash in the next line tells. It reports false
// for all others.
func place(line []byte) (seq uint64, prev []byte, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	if !ok {
		return 0, nil, false
	}
	n := 0
	for ; n < len(rest) && n < 19 && '0' <= rest[n] && rest[n] <= '9'; n++ {
		seq = seq*10 + uint64(rest[n]-'0')
	}
	rest, ok = bytes.CutPrefix(rest[n:], []byte(`,"prev":"`))
	if !ok || seq == 0 || len(rest) < 2*sha256.Size+2 || rest[2*sha256.Size] != '"' || line[len(line)-1] != '}' {
		return 0, nil, false
	}
	return seq, rest[:2*sha256.Size], true
}
