package audit

import (
	"maps"
	"slices"
	"time"
)

// Refusals is what was counted of one caller, or of one address, in a window.
type Refusals struct {
	Addr   string // empty for a caller's
	Count  int
	Window time.Duration
	Codes  map[string]int
	Rules  map[string]int
}

// flush writes a line for each window that is over, or for all of them.
func (l *Log) flush(now time.Time, all bool) {
	for _, t := range []*tally{l.callers, l.peers} {
		for _, w := range t.ended(now, all) {
			if err := l.put(nil, "refusals", false, func(b []byte) ([]byte, error) { return l.appendWindow(b, &w, now) }); err != nil {
				t.giveBack(w) // put has counted the failure
				continue
			}
			if l.cfg.Ended != nil {
				l.cfg.Ended(Refusals{w.who.addr, w.counted, now.Sub(w.began), w.codes, w.rules})
			}
		}
	}
}

// appendWindow appends what was counted.
func (l *Log) appendWindow(b []byte, w *window, now time.Time) ([]byte, error) {
	r := begin(b)
	r.Time("time", time.Now().UTC())
	r.Str("type", "refusals")
	if w.who.caller != nil {
		r.caller(w.who.caller)
	} else {
		r.Str("source_ip", w.who.addr)
	}
	r.Int("count", int64(w.counted))
	r.Str("from", w.began.UTC().Format(time.RFC3339Nano))
	r.Str("to", now.UTC().Format(time.RFC3339Nano))
	r.counts("codes", w.codes)
	r.counts("ops", w.ops)
	r.counts("rules", w.rules)
	return r.End(), r.err
}

func (l *line) counts(k string, m map[string]int) {
	if len(m) == 0 {
		return
	}
	l.Key(k)
	l.B = append(l.B, '{')
	for _, name := range slices.Sorted(maps.Keys(m)) {
		l.Int(name, int64(m[name]))
	}
	l.B = append(l.B, '}')
}
