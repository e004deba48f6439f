package transform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/transform/guest"
	"portcullis/gateway/transform/native"
)

const (
	// maxCounters and maxCounterName bound what a manifest adds to the metrics.
	maxCounters    = 16
	maxCounterName = 40
	// linesPerMinute is how many lines of one module are logged.
	linesPerMinute = 60
)

// validateVoice checks what a module may say.
func (e *Entry) validateVoice() error {
	if e.Logs && slices.Contains(e.Hooks, guest.Log.String()) {
		return errors.New("logs: a module of the log hook cannot log, as it would be called for its own lines")
	}
	if len(e.Counters) > maxCounters {
		return fmt.Errorf("counters: at most %d", maxCounters)
	}
	for i, name := range e.Counters {
		if !validCounter(name) || slices.Contains(e.Counters[:i], name) {
			return fmt.Errorf("counter %q is there twice, or not a-z, 0-9 and _ beginning with a letter, at most %d of them", name, maxCounterName)
		}
	}
	return nil
}

func validCounter(s string) bool {
	return s != "" && len(s) <= maxCounterName && s[0] >= 'a' && s[0] <= 'z' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// voice is where what a module says goes.
type voice struct {
	name            string
	log             *slog.Logger
	redactor        *native.Redactor
	counters        []*metrics.Counter // in the order of the manifest
	logged, lost    *metrics.Counter
	now             func() time.Time
	mu              sync.Mutex // guards the fields below
	minute          time.Time  // when it began
	linesThisMinute int
}

// newVoice returns nil for a module that may say nothing.
func newVoice(e *Entry, o Options) *voice {
	if !e.Logs && len(e.Counters) == 0 || o.Log == nil {
		return nil
	}
	v := &voice{name: e.Name, log: o.Log, redactor: o.BaseRedactor, now: o.Now}
	v.logged = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_lines_total{module=%q,result="logged"}`, e.Name))
	v.lost = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_lines_total{module=%q,result="lost"}`, e.Name))
	for _, name := range e.Counters {
		v.counters = append(v.counters, metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_counted_total{module=%q,counter=%q}`, e.Name, name)))
	}
	return v
}

// hear counts and logs what a module said in a call, whether the call worked or not.
func (v *voice) hear(s *step, h guest.Hook, payload []byte, said *guest.Said) {
	if v == nil || said == nil {
		return
	}
	for i, n := range said.Counts {
		// There are no more things in a document than it has bytes.
		v.counters[i].AddInt64(int64(min(n, uint64(len(payload)))))
	}
	v.lost.Add(said.Lost)
	var d *disguise
	for _, line := range said.Lines {
		if !v.turn() {
			v.lost.Inc()
			continue
		}
		if d == nil {
			d = newDisguise(payload, s.args)
		}
		text := v.redactor.AppendFor(s.caller, nil, []byte(d.hide(printable(string(line.Text)))))
		v.logged.Inc()
		v.log.Log(context.Background(), level(line.Level), "a transform module says", "module", v.name, "hook", h.String(), "text", string(text))
	}
}

// turn reports whether the module may log one more line in this minute.
func (v *voice) turn() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := v.now(); now.Sub(v.minute) >= time.Minute {
		v.minute, v.linesThisMinute = now, 0
	}
	v.linesThisMinute++
	return v.linesThisMinute <= linesPerMinute
}

func level(n uint32) slog.Level {
	switch n {
	case 0:
		return slog.LevelDebug
	case 2:
		return slog.LevelWarn
	case 3:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// printable replaces what could end a line, or change how it is read.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}
