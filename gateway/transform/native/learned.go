package native

import (
	"slices"
	"time"
)

// What a half holds. Each owner has a share, and one that learns more forgets its own
// oldest, never those of others.
const (
	perHalf = 2048 // values
	quarter = 4    // of them, is the most that one owner has
)

// half is one generation of values.
type half struct {
	filter [1 << filterBits / 64]uint64
	known  map[uint64][]entry
	owners map[string][]value // the oldest value first
	stale  int                // values whose bits are still in the filter
	born   time.Time
}

// known is one form of a value.
type known struct {
	length int
	sum    uint64
	shift  uint64 // base to the power of length
}

// form is a form with the window that it begins with.
type form struct {
	key uint64
	known
}

// value is what was learned once, in all of its forms.
type value struct {
	common bool // see common
	forms  []form
}

// entry is a form in the table, with whose it is.
type entry struct {
	known
	common bool
	owners []string
}

// hides reports whether the form is replaced in a text about an owner. What could be
// anybody's words or number is replaced only in texts about the caller that it was learned
// of: whoever can store a secret must not choose which words are left out of what is said about others.
func (e entry) hides(owner string) bool {
	return !e.common || slices.Contains(e.owners, owner) || slices.Contains(e.owners, "")
}

func newHalf() *half {
	return &half{known: map[uint64][]entry{}, owners: map[string][]value{}, born: time.Now()}
}

func (v *value) add(f form) {
	if !slices.Contains(v.forms, f) {
		v.forms = append(v.forms, f)
	}
}

func (h *half) has(owner string, f form) bool {
	at := slices.IndexFunc(h.known[f.key], func(e entry) bool { return e.known == f.known })
	return at >= 0 && slices.Contains(h.known[f.key][at].owners, owner)
}

// learn adds a value to its owner's. When there are very many owners, the further ones
// share one share.
func (h *half) learn(owner string, v value) {
	if _, there := h.owners[owner]; !there && len(h.owners) >= perHalf {
		owner = "\x00others" // no owner's name begins like this
	}
	own := h.owners[owner]
	most := max(1, perHalf/max(quarter, len(h.owners)))
	for len(own) >= most {
		h.forget(owner, own[0])
		own = own[1:]
	}
	h.owners[owner] = append(own, v)
	for _, f := range v.forms {
		h.put(owner, f, v.common)
	}
	if h.stale > perHalf/quarter {
		h.filter, h.stale = [len(h.filter)]uint64{}, 0
		for key := range h.known {
			h.mark(key)
		}
	}
}

func (h *half) put(owner string, f form, common bool) {
	h.mark(f.key)
	for i := range h.known[f.key] {
		if e := &h.known[f.key][i]; e.known == f.known {
			e.owners = append(e.owners, owner)
			return
		}
	}
	h.known[f.key] = append(h.known[f.key], entry{f.known, common, []string{owner}})
}

func (h *half) mark(key uint64) {
	slot := key >> (64 - filterBits)
	h.filter[slot/64] |= 1 << (slot % 64)
}

// forget takes a value out of its owner's.
func (h *half) forget(owner string, v value) {
	h.stale++
	for _, f := range v.forms {
		list := h.known[f.key]
		at := slices.IndexFunc(list, func(e entry) bool { return e.known == f.known })
		if at < 0 {
			continue
		}
		if i := slices.Index(list[at].owners, owner); i >= 0 {
			list[at].owners = slices.Delete(list[at].owners, i, i+1)
		}
		if len(list[at].owners) == 0 {
			list = slices.Delete(list, at, at+1)
		}
		if h.known[f.key] = list; len(list) == 0 {
			delete(h.known, f.key)
		}
	}
}
