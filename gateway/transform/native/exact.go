package native

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/maphash"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// window is the number of bytes that a search looks at, and so the length of
	// the shortest value that can be learned.
	window = 6
	// longest is the length of the longest value that is learned.
	longest = 16 << 10
	// keep is how long a half takes values before it becomes the older one.
	keep = 5 * time.Minute
	// filterBits is the size of the filter that says no to nearly every position.
	filterBits = 18
)

// exact finds learned values. It holds hashes with a key of this process, in two halves
// that take turns by time.
type exact struct {
	base  uint64 // of the rolling hash
	mul   uint64 // of the filter
	empty atomic.Bool
	spare sync.Pool    // of *sums
	mu    sync.RWMutex // guards the halves
	young *half
	old   *half
}

func newExact() *exact {
	e := &exact{young: newHalf(), old: newHalf()}
	e.mul = maphash.String(maphash.MakeSeed(), "window") | 1
	e.base = newBase()
	e.empty.Store(true)
	return e
}

func (e *exact) learn(owner, v string) {
	if !fits(v) || e.has(owner, []byte(v)) {
		return
	}
	one := value{common: common(v)}
	for _, f := range forms(v) {
		one.add(form{e.key([]byte(f), 0), e.knownOf([]byte(f))})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.empty.Store(false)
	if time.Since(e.young.born) > keep {
		e.young, e.old = newHalf(), e.young
	}
	e.young.learn(owner, one)
}

// fits tells whether a value has a length at which it is looked for.
func fits(v string) bool { return len(v) >= window && len(v) <= longest }

// common tells whether a value could be anybody's: words, as in a sentence or a name, or
// a number.
func common(s string) bool {
	number := strings.Trim(s, "0123456789+-.eE") == ""
	return number || !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && !strings.ContainsRune(" ._-/:,", r) })
}

// has tells whether the value is among the younger ones of an owner, which is what a
// secret that is read again and again is.
func (e *exact) has(owner string, v []byte) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	quoted := []byte(escape(string(v), false)) // a form that every value has
	return time.Since(e.young.born) <= keep && e.young.has(owner, form{e.key(quoted, 0), e.knownOf(quoted)})
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

// Comparing costs a constant for each value that begins as the text does at a
// place. Whoever stores many values with one beginning makes that many: a text on
// which more is spent than this is nothing that a person wrote, and goes as a whole.
const (
	spendPerByte = 8
	spendAtLeast = 4096
)

// redact returns the text itself when it has none of the values. The text is about an
// owner, or about nobody.
func (e *exact) redact(owner string, text []byte) []byte {
	out, _ := e.search(owner, text)
	return out
}

// search is redact and tells how much was compared and hashed.
func (e *exact) search(owner string, text []byte) (out []byte, work int) {
	if e.empty.Load() {
		return text, 0
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	h := e.sumsOf(owner, text)
	defer e.release(h)
	budget := spendAtLeast + spendPerByte*len(text)
	last, left := 0, budget
	for i := e.next(text, 0); i >= 0; i = e.next(text, i+1) {
		n := e.match(h, i, &left)
		if left < 0 {
			return []byte(Redacted), budget + len(h.at)
		}
		if n > 0 {
			out = append(append(out, text[last:i]...), Redacted...)
			last = i + n
			i = last - 1
		}
	}
	work = budget - left + len(h.at)
	if last == 0 {
		return text, work
	}
	return append(out, text[last:]...), work
}

// next finds the first place from i on that the filters do not rule out.
func (e *exact) next(text []byte, i int) int {
	young, old, mul := &e.young.filter, &e.old.filter, e.mul
	for ; i+8 <= len(text); i++ {
		slot := (binary.LittleEndian.Uint64(text[i:]) & (1<<(8*window) - 1) * mul) >> (64 - filterBits)
		if (young[slot/64]|old[slot/64])>>(slot%64)&1 != 0 {
			return i
		}
	}
	if i+window <= len(text) {
		return i
	}
	return -1
}

// match returns the length of the longest value at i. It takes a unit of what may
// be spent for each value that it compares.
func (e *exact) match(h *sums, i int, left *int) int {
	key := e.key(h.text, i)
	most := 0
	for _, half := range []*half{e.young, e.old} {
		for _, k := range half.known[key] {
			if *left--; *left < 0 {
				return 0
			}
			if k.length > most && i+k.length <= len(h.text) && h.of(i, k.known) == k.sum && k.hides(h.owner) {
				most = k.length
			}
		}
	}
	return most
}
