package obs

import (
	"fmt"
	"log/slog"
	"strings"
)

// ours are the attributes that hold no free text: what we say ourselves, and names,
// ids and codes. Whoever can store a secret chooses what the redactor has learned,
// and must not be able to choose which of these a log leaves out.
func ours() map[string]bool {
	all := map[string]bool{}
	for _, key := range []string{
		slog.MessageKey, slog.LevelKey, slog.TimeKey, "ts", "lvl", "logger", "warning", "hint",
		"op", "code", "transport", "subject", "caller", "request_id", "correlation_id", "trace_id", "decision_id",
		"mount", "client", "method", "route", "status", "version", "revision", "addr", "rule",
	} {
		all[key] = true
	}
	return all
}

// ownText is a text of ours under a name that can also hold somebody else's.
type ownText string

// Own is an attribute whose text is ours, whatever its name.
func Own(key, text string) slog.Attr { return slog.Any(key, ownText(text)) }

// redactor replaces the text of each attribute that could be somebody else's.
type redactor struct {
	ours   map[string]bool
	redact func(dst, text []byte) []byte
}

func (c LogConfig) redactor() redactor { return redactor{ours(), c.Redact} }

func (r redactor) attr(a slog.Attr) slog.Attr {
	if r.redact == nil || r.ours[a.Key] {
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = r.text(a.Value.String())
	case slog.KindAny:
		a.Value = r.any(a.Value.Any())
	case slog.KindLogValuer:
		return r.attr(slog.Attr{Key: a.Key, Value: a.Value.Resolve()})
	}
	return a
}

func (r redactor) text(s string) slog.Value {
	return slog.StringValue(string(r.redact(make([]byte, 0, len(s)), []byte(s))))
}

// any handles what is no text yet. What prints as a list keeps its form.
func (r redactor) any(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case ownText:
		return slog.StringValue(string(v))
	case error:
		return r.text(v.Error())
	case []string:
		list := make([]string, len(v))
		for i, s := range v {
			list[i] = r.text(s).String()
		}
		return slog.AnyValue(list)
	}
	return r.text(strings.TrimSpace(fmt.Sprintf("%+v", v)))
}
