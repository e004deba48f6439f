package native

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/maphash"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// window is the number of bytes that a search looks at, and so the length of
	// the shortest value that can be learned.
	window = 6
	// perHalf values are kept twice: when one half is full, the older goes.
	perHalf = 512
	// longest is the length of the longest value that is learned.
	longest = 16 << 10
	// keep is how long a half takes values before it becomes the older one.
	keep = 5 * time.Minute
	// bits of the filter that says no to nearly every position.
	bits = 18
)

// exact finds learned values. It holds hashes with a key of this process.
type exact struct {
	seed  maphash.Seed
	mul   uint64
	empty atomic.Bool
	mu    sync.RWMutex // guards the halves
	young *half
	old   *half
}

// half is one generation of values.
type half struct {
	filter [1 << bits / 64]uint64
	known  map[uint64][]known
	size   int
	born   time.Time
}

// known is one form of a value.
type known struct {
	length int
	sum    uint64
}

func newExact() *exact {
	e := &exact{seed: maphash.MakeSeed(), young: newHalf(), old: newHalf()}
	e.mul = maphash.String(e.seed, "window") | 1
	e.empty.Store(true)
	return e
}

func newHalf() *half { return &half{known: map[uint64][]known{}, born: time.Now()} }

func (e *exact) learn(v string) {
	if !distinct(v) || e.has([]byte(v)) {
		return
	}
	all := forms(v)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.empty.Store(false)
	if e.young.size >= perHalf || time.Since(e.young.born) > keep {
		e.young, e.old = newHalf(), e.young
	}
	e.young.size++
	for i, f := range all {
		// As it is, a value with quotes and what stands between strings could match
		// the structure of a record; in its strings the quotes are escaped.
		if i > 0 || !structure(f) {
			e.add([]byte(f))
		}
	}
}

// distinct tells whether a value can be removed from every text: it is neither too
// short nor a number, which would leave a record that is not JSON.
func distinct(v string) bool {
	return len(v) >= window && len(v) <= longest && strings.Trim(v, "0123456789+-.eE") != ""
}

// structure tells whether a text could be more than the inside of a JSON string.
func structure(s string) bool {
	return slices.ContainsFunc([]string{`":`, `",`, `,"`, `:"`, `{"`, `"}`, `["`, `"]`}, func(p string) bool { return strings.Contains(s, p) })
}

// has tells whether the value is among the younger ones, which is what a secret
// that is read again and again is.
func (e *exact) has(v []byte) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	k := known{len(v), maphash.Bytes(e.seed, v)}
	return time.Since(e.young.born) <= keep && slices.Contains(e.young.known[e.key(v, 0)], k)
}

func (e *exact) add(form []byte) {
	key := e.key(form, 0)
	k := known{len(form), maphash.Bytes(e.seed, form)}
	for _, have := range e.young.known[key] {
		if have == k {
			return
		}
	}
	e.young.known[key] = append(e.young.known[key], k)
	slot := key >> (64 - bits)
	e.young.filter[slot/64] |= 1 << (slot % 64)
}

// forms lists how a value can appear in a text.
func forms(v string) []string {
	once, html := escape(v, false), escape(v, true)
	return []string{
		v, once, html, escape(once, false), escape(html, false), escape(escape(once, false), false),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(v)), "="),
		base64.RawURLEncoding.EncodeToString([]byte(v)),
		hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v))),
		url.QueryEscape(v), url.PathEscape(v),
	}
}

// escape returns the inside of the JSON string of v.
func escape(v string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if enc.Encode(v) != nil {
		return v
	}
	return b.String()[1 : b.Len()-2]
}

// key mixes the window at i.
func (e *exact) key(text []byte, i int) uint64 {
	var w uint64
	if i+8 <= len(text) {
		w = binary.LittleEndian.Uint64(text[i:]) & (1<<(8*window) - 1)
	} else {
		for k := range window {
			w |= uint64(text[i+k]) << (8 * k)
		}
	}
	return w * e.mul
}

// redact returns the text itself when it has none of the values.
func (e *exact) redact(text []byte) []byte {
	if e.empty.Load() {
		return text
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	var out []byte
	last := 0
	for i := e.next(text, 0); i >= 0; i = e.next(text, i+1) {
		if n := e.match(text, i); n > 0 {
			out = append(append(out, text[last:i]...), Redacted...)
			last = i + n
			i = last - 1
		}
	}
	if last == 0 {
		return text
	}
	return append(out, text[last:]...)
}

// next finds the first place from i on that the filters do not rule out.
func (e *exact) next(text []byte, i int) int {
	young, old, mul := &e.young.filter, &e.old.filter, e.mul
	for ; i+8 <= len(text); i++ {
		slot := (binary.LittleEndian.Uint64(text[i:]) & (1<<(8*window) - 1) * mul) >> (64 - bits)
		if (young[slot/64]|old[slot/64])>>(slot%64)&1 != 0 {
			return i
		}
	}
	if i+window <= len(text) {
		return i
	}
	return -1
}

// match returns the length of the longest value at i.
func (e *exact) match(text []byte, i int) int {
	key := e.key(text, i)
	most := 0
	for _, h := range []*half{e.young, e.old} {
		for _, k := range h.known[key] {
			if k.length > most && i+k.length <= len(text) && maphash.Bytes(e.seed, text[i:i+k.length]) == k.sum {
				most = k.length
			}
		}
	}
	return most
}
