package obs

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"

	"portcullis/gateway/call"
)

// ours reports whether an attribute holds no free text, but what we say ourselves, or a
// name, an id or a code. Whoever can store a secret chooses what the redactor has learned,
// and must not be able to choose which of these a log leaves out.
func ours(key string) bool {
	switch key {
	case slog.MessageKey, slog.LevelKey, slog.TimeKey, "logger", "warning", "hint",
		"op", "code", "transport", "subject", "caller", "request_id", "correlation_id", "trace_id", "decision_id",
		"mount", "client", "method", "route", "status", "version", "revision", "revision_before", "addr", "rule",
		"setting", "token_role", "sink":
		return true
	}
	return false
}

// ownText is a text of ours under a name that can also hold somebody else's.
type ownText string

// Own is an attribute whose text is ours, whatever its name.
func Own(key, text string) slog.Attr { return slog.Any(key, ownText(text)) }

// about is a value in a record about a caller.
type about struct {
	caller string // its key
	value  any
}

// About is an attribute of a record about a caller: what it has read is left out of it.
func About(c *call.Caller, key string, value any) slog.Attr {
	return slog.Any(key, about{c.Key(), value})
}

// String is for whoever measures a line.
func (a about) String() string { return fmt.Sprint(a.value) }

// redactor replaces the text of each attribute that could be somebody else's.
type redactor struct {
	redact func(about string, dst, text []byte) []byte
	about  string     // key of a caller
	work   *sync.Pool // of *redaction
}

func (c LogConfig) redactor() redactor {
	return redactor{redact: c.Redact, work: new(sync.Pool)}
}

func (r redactor) attr(a slog.Attr) slog.Attr {
	if r.redact == nil || ours(a.Key) {
		if a.Value.Kind() == slog.KindAny { // of all others, Any allocates
			if v, ok := a.Value.Any().(about); ok {
				a.Value = slog.AnyValue(v.value)
			}
		}
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = r.text(a.Value.String())
	case slog.KindAny:
		a.Value = r.safely(a.Value.Any())
	case slog.KindLogValuer:
		return r.attr(slog.Attr{Key: a.Key, Value: a.Value.Resolve()})
	}
	return a
}

// text is what is shown of a text: most of them as they are.
func (r redactor) text(s string) slog.Value {
	w, ok := r.work.Get().(*redaction)
	if !ok {
		w = new(redaction)
	}
	w.in = append(w.in[:0], s...)
	w.out = r.redact(r.about, w.out[:0], w.in)
	if string(w.out) != s {
		s = string(w.out)
	}
	if cap(w.in)+cap(w.out) <= bufferSize {
		r.work.Put(w)
	}
	return slog.StringValue(s)
}

// redaction is the room that redacting one text takes.
type redaction struct{ in, out []byte }

// safely is any for a value whose own method may panic, as that of a nil pointer does: it
// costs neither the record nor whoever writes it.
func (r redactor) safely(v any) (out slog.Value) {
	defer func() {
		if recover() != nil {
			out = slog.StringValue(panicked(v))
		}
	}()
	return r.any(v)
}

// panicked stands for a value whose method panics. What it panics with can be any text.
func panicked(v any) string {
	if a, ok := v.(about); ok {
		v = a.value
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
		return "<nil>"
	}
	return fmt.Sprintf("!PANIC: %T", v)
}

// any handles what is no text yet. What prints as a list keeps its form.
func (r redactor) any(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case ownText:
		return slog.StringValue(string(v))
	case about:
		r.about = v.caller
		return r.any(v.value)
	case string:
		return r.text(v)
	case error:
		return slog.StringValue(r.err(v))
	case []string:
		list := make([]string, len(v))
		for i, s := range v {
			list[i] = r.text(s).String()
		}
		return slog.AnyValue(list)
	}
	return r.text(strings.TrimSpace(fmt.Sprintf("%+v", v)))
}

// err is the text of an error. The public message of a *call.Error is a sentence of
// ours and stays as it is. Each link of a chain is redacted by itself: the end of one
// sentence and the beginning of the next are no name with its value.
func (r redactor) err(err error) string {
	if e, ok := err.(*call.Error); ok { //nolint:errorlint // this link of the chain; the next ones are looked at below
		text := string(e.Code) + ": " + e.Msg
		if e.Err != nil {
			text += ": " + r.err(e.Err)
		}
		return text
	}
	whole := err.Error()
	switch w := err.(type) { //nolint:errorlint // the same
	case interface{ Unwrap() error }:
		inner := w.Unwrap()
		if inner == nil {
			break
		}
		if before, ok := strings.CutSuffix(whole, inner.Error()); ok {
			return r.text(before).String() + r.err(inner)
		}
	case interface{ Unwrap() []error }:
		return r.joined(whole, w.Unwrap())
	}
	return r.text(whole).String()
}

// joined is the text of errors.Join, each error by itself.
func (r redactor) joined(whole string, errs []error) string {
	plain, own := make([]string, len(errs)), make([]string, len(errs))
	for i, e := range errs {
		plain[i], own[i] = e.Error(), r.err(e)
	}
	if strings.Join(plain, "\n") != whole {
		return r.text(whole).String()
	}
	return strings.Join(own, "\n")
}
