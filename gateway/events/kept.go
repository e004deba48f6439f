package events

import (
	"cmp"
	"slices"

	"portcullis/gateway/call"
)

// kept are the newest events, of which one caller has a share: whoever does much
// pushes out its own events, not those of others. The log's lock guards it.
type kept struct {
	size, share int
	entries     []*entry       // by sequence number
	count       map[string]int // by whose they are

	gone    uint64            // newest event that was dropped and may have concerned anybody
	goneOwn map[string]uint64 // newest that was dropped and concerned its owner alone
}

func newKept(size, share int) kept {
	return kept{size: size, share: share, count: map[string]int{}, goneOwn: map[string]uint64{}}
}

// whose names the caller in whose share an event is; empty when nobody of ours did it.
func (e *entry) whose() string {
	if e.Owner != "" {
		return "owner " + call.KeyOf(e.Owner)
	}
	return e.Subject
}

func (k *kept) add(e *entry) {
	who := e.whose()
	k.entries = append(k.entries, e)
	if k.count[who]++; who != "" && k.count[who] > k.share {
		k.drop(slices.IndexFunc(k.entries, func(old *entry) bool { return old.whose() == who }))
	} else if len(k.entries) > k.size {
		k.drop(0)
	}
}

func (k *kept) drop(i int) {
	e := k.entries[i]
	k.entries = slices.Delete(k.entries, i, i+1)
	who := e.whose()
	if k.count[who]--; k.count[who] == 0 {
		delete(k.count, who)
	}
	if e.Owner == "" {
		k.gone = max(k.gone, e.seq)
		return
	}
	if _, known := k.goneOwn[e.Owner]; !known && len(k.goneOwn) >= k.size {
		clear(k.goneOwn)
		k.gone = max(k.gone, e.seq) // for everybody, as it is not known any more for whom
	}
	k.goneOwn[e.Owner] = e.seq
}

// lost reports whether something that a caller may have wanted was dropped after a
// sequence number.
func (k *kept) lost(seq uint64, f *Filter, c *call.Caller) bool {
	own := len(f.Kinds) == 0 || slices.Contains(f.Kinds, ToolCompleted)
	return seq < k.gone || own && seq < k.goneOwn[c.Holder()]
}

// since are the events after a sequence number.
func (k *kept) since(seq uint64) []*entry {
	i, _ := slices.BinarySearchFunc(k.entries, seq+1, func(e *entry, s uint64) int { return cmp.Compare(e.seq, s) })
	return k.entries[i:]
}
