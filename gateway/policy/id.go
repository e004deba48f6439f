package policy

import (
	"math/rand/v2"
	"strings"
	"time"
)

// An id has idLength digits of base 32. The first timeDigits are its time, the last
// placeDigits the engine that made it.
const (
	idLength    = 26
	timeDigits  = 10
	placeDigits = 4
	digits      = "0123456789abcdefghjkmnpqrstvwxyz"
)

// place is which engine makes ids, in placeDigits of 5 bits.
type place uint64

func newPlace() place { return place(rand.Uint64N(1 << (5 * placeDigits))) }

// newID is a unique id that sorts by time: 48 bits of milliseconds, 60 random bits and the
// place, in Crockford's base 32 (the ULID form).
func (p place) newID() string {
	var out [idLength]byte
	hi, lo := uint64(time.Now().UnixMilli())<<16|rand.Uint64()&0xffff, rand.Uint64()
	lo = lo&^(1<<(5*placeDigits)-1) | uint64(p)
	for i := 25; i >= 0; i-- {
		out[i] = digits[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// PartsOf are the parts of an id that tell when it was made, and by which engine.
func PartsOf(id string) (at, place string, ok bool) {
	if len(id) != idLength || strings.Trim(id, digits) != "" {
		return "", "", false
	}
	return id[:timeDigits], id[idLength-placeDigits:], true
}

// Place is the part of its ids that names this engine among others.
func (e *Engine) Place() string {
	_, p, _ := PartsOf(e.place.newID())
	return p
}
