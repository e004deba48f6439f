package policy

import (
	"math/rand/v2"
	"strings"
	"time"
)

// An id has idLength digits of base 32. The first timeDigits are its time.
const (
	idLength   = 26
	timeDigits = 10
	digits     = "0123456789abcdefghjkmnpqrstvwxyz"
)

// newID is a unique id that sorts by time: 48 bits of milliseconds and 80 random bits, in
// Crockford's base 32 (the ULID form).
func newID() string {
	var out [idLength]byte
	hi, lo := uint64(time.Now().UnixMilli())<<16|rand.Uint64()&0xffff, rand.Uint64()
	for i := idLength - 1; i >= 0; i-- {
		out[i] = digits[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// timeOf is when an id was made, by the clock of whoever made it. It is not ok of a text
// that is no id.
func timeOf(id string) (at time.Time, ok bool) {
	if len(id) != idLength || strings.Trim(id, digits) != "" {
		return time.Time{}, false
	}
	ms := int64(0)
	for _, d := range id[:timeDigits] {
		ms = ms<<5 | int64(strings.IndexRune(digits, d))
	}
	return time.UnixMilli(ms), true
}
