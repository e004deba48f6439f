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

// validateOutput checks what a module may log and count.
func (e *Entry) validateOutput() error {
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

// output logs and counts what a module emits.
type output struct {
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

// newOutput returns nil for a module that may neither log nor count.
func newOutput(e *Entry, o Options) *output {
	if !e.Logs && len(e.Counters) == 0 || o.Log == nil {
		return nil
	}
	out := &output{name: e.Name, log: o.Log, redactor: o.BaseRedactor, now: o.Now}
	out.logged = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_lines_total{module=%q,result="logged"}`, e.Name))
	out.lost = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_lines_total{module=%q,result="lost"}`, e.Name))
	for _, name := range e.Counters {
		out.counters = append(out.counters, metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_counted_total{module=%q,counter=%q}`, e.Name, name)))
	}
	return out
}

// record logs and counts what a module emitted in a call, whether the call worked or not.
func (o *output) record(s *step, h guest.Hook, payload []byte, emitted *guest.Emitted) {
	if o == nil || emitted == nil {
		return
	}
	for i, n := range emitted.Counts {
		// There are no more things in a document than it has bytes.
		o.counters[i].AddInt64(int64(min(n, uint64(len(payload)))))
	}
	o.lost.Add(emitted.Lost)
	var scrub *scrubber
	for _, line := range emitted.Lines {
		if !o.turn() {
			o.lost.Inc()
			continue
		}
		if scrub == nil {
			scrub = newScrubber(payload, s.args)
		}
		text := scrub.line(line.Text, s.caller, o.redactor)
		o.logged.Inc()
		o.log.Log(context.Background(), level(line.Level), "a transform module logged a line", "module", o.name, "hook", h.String(), "text", text)
	}
}

// turn reports whether the module may log one more line in this minute.
func (o *output) turn() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); now.Sub(o.minute) >= time.Minute {
		o.minute, o.linesThisMinute = now, 0
	}
	o.linesThisMinute++
	return o.linesThisMinute <= linesPerMinute
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

// line is a line of a module as it is logged: one line that says nothing of the documents
// which the module was given, nor a secret that the redactor knows.
func (s *scrubber) line(text []byte, caller string, r *native.Redactor) string {
	return string(r.AppendFor(caller, nil, []byte(s.clean(printable(string(text))))))
}

// Logged is a line of a module as the gateway logs it, with its level, for who tries a
// module without a gateway.
func Logged(l guest.Line, payload []byte) string {
	return fmt.Sprintf("%s: %s", level(l.Level), newScrubber(payload).line(l.Text, "", native.New()))
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
