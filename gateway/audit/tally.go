package audit

import (
	"hash/maphash"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// What a caller does that is refused again and again is the same each time, and must
// not fill the disk: after the first few refusals they are counted.
const (
	// linesPerWindow refusals of one caller and one code get a line of their own.
	linesPerWindow = 20
	// A window is a second long, and twice as long each time that something was
	// counted in the one before, up to a minute.
	firstWindow = time.Second
	lastWindow  = time.Minute
	windowLook  = 250 * time.Millisecond
	// maxCallers and maxPeers are counted at once. With more of them, callers get
	// their lines, and addresses share one count.
	maxCallers = 10_000
	maxPeers   = 1_000
	// maxCounted names of a window are counted each: a caller can ask for operations that
	// do not exist, and for another one each time. Further ones are counted as others.
	maxCounted = 64
	others     = "others"
)

// subject is who is refused: a caller, or an address that nobody is known behind.
type subject struct {
	key    string
	caller *call.Caller
	addr   string
}

// refusal is what is counted of one. Code and rule come from closed sets; op can be any
// name that was asked for, and name tells apart what was.
type refusal struct{ code, op, rule, name string }

// tally counts refusals in windows.
type tally struct {
	lines int // of each subject and code in a window, before it is counted
	most  int // subjects
	seed  maphash.Seed

	mu   sync.Mutex // guards open
	open map[string]*window
}

// window counts the refusals of one subject.
type window struct {
	who     subject
	began   time.Time
	length  time.Duration
	shown   map[string]int  // lines of their own, by code
	names   map[uint64]bool // hashes of what those are about, maxCounted at most
	counted int
	codes   map[string]int
	ops     map[string]int
	rules   map[string]int
}

func newTally(lines, most int) *tally {
	return &tally{lines: lines, most: most, seed: maphash.MakeSeed(), open: map[string]*window{}}
}

// show tells whether a refusal gets a line of its own; otherwise it is counted. One about
// something else than those before has a line, so that nobody hides what it looks for behind
// what it is refused as often as it likes.
func (t *tally) show(s subject, r refusal, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.at(s, now)
	if w == nil {
		return true
	}
	if isNew := w.meets(maphash.String(t.seed, r.name)); w.shown[r.code] < t.lines || isNew && r.name != "" {
		w.shown[r.code]++
		return true
	}
	w.add(r)
	return false
}

// meets notes what a refusal is about, and tells whether it is new.
func (w *window) meets(name uint64) bool {
	if w.names[name] || len(w.names) >= maxCounted {
		return false
	}
	w.names[name] = true
	return true
}

// unshow takes a line back that could not be written.
func (t *tally) unshow(s subject, code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.open[s.key]; w != nil && w.shown[code] > 0 {
		w.shown[code]--
	}
}

// count counts a refusal and tells whether it is the first of its window.
func (t *tally) count(s subject, r refusal, now time.Time) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.at(s, now)
	if w == nil {
		w = t.at(subject{key: "", addr: others}, now)
	}
	w.add(r)
	return w.counted == 1
}

// at is the subject's window, nil when there are too many.
func (t *tally) at(s subject, now time.Time) *window {
	w := t.open[s.key]
	if w == nil && (len(t.open) < t.most || s.key == "") {
		w = &window{who: s, began: now, length: firstWindow}
		w.clear()
		t.open[s.key] = w
	}
	return w
}

func (w *window) clear() {
	w.counted, w.names = 0, map[uint64]bool{}
	w.shown, w.codes, w.ops, w.rules = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
}

func (w *window) add(r refusal) {
	w.counted++
	for set, name := range map[*map[string]int]string{&w.codes: r.code, &w.ops: r.op, &w.rules: r.rule} {
		if name != "" {
			count(*set, name, 1)
		}
	}
}

// count counts a name in a set that does not grow for ever.
func count(set map[string]int, name string, n int) {
	if _, known := set[name]; !known && len(set) >= maxCounted {
		name = others
	}
	set[name] += n
}

// ended takes out the windows that are over, or all of them. What was counted in
// them is to be written; give back puts it back when it cannot be.
func (t *tally) ended(now time.Time, all bool) (over []window) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, w := range t.open {
		if !all && now.Sub(w.began) < w.length {
			continue
		}
		if w.counted == 0 {
			delete(t.open, key)
			continue
		}
		over = append(over, *w)
		w.clear()
		w.began, w.length = now, min(2*w.length, lastWindow)
	}
	return over
}

// giveBack counts again what could not be written.
func (t *tally) giveBack(lost window) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.at(lost.who, lost.began)
	if w == nil {
		return
	}
	w.began, w.counted = lost.began, w.counted+lost.counted
	for to, from := range map[*map[string]int]map[string]int{&w.codes: lost.codes, &w.ops: lost.ops, &w.rules: lost.rules} {
		for name, n := range from {
			count(*to, name, n)
		}
	}
}
