package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// link is a line's place in the chain: its number, and its hash for the next one.
// The zero link is what the first line of a chain refers to.
type link struct {
	seq uint64
	sum [sha256.Size]byte
}

// appendLine appends a record as the line behind k, and returns its own link.
func appendLine(dst []byte, k link, body []byte) ([]byte, link) {
	start := len(dst)
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, k.seq+1, 10)
	dst = append(dst, `,"prev":"`...)
	dst = hex.AppendEncode(dst, k.sum[:])
	dst = append(dst, `",`...)
	dst = append(dst, body[1:]...)
	next := link{k.seq + 1, sha256.Sum256(dst[start:])}
	return append(dst, '\n'), next
}
