package policy

import (
	"math/rand/v2"
	"time"
)

// newID is a unique id that sorts by time: 48 bits of milliseconds and 80 random
// bits in Crockford's base 32 (the ULID form).
func newID() string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var out [26]byte
	hi, lo := uint64(time.Now().UnixMilli())<<16|rand.Uint64()&0xffff, rand.Uint64()
	for i := 25; i >= 0; i-- {
		out[i] = digits[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
