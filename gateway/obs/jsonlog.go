package obs

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"portcullis/gateway/op/jsonline"
)

// jsonHandler writes records as JSON, one object a line, with the names that logs of this
// kind always had: ts, lvl, msg. slog's own handler says the same, and asks a function for
// every attribute; a line is written for every call.
type jsonHandler struct {
	level  slog.Leveler
	values redactor
	out    *output
	with   []byte // members of every record
	prefix string // of names in a group
}

// output is where a handler writes, with those that With makes of it.
type output struct {
	spare sync.Pool // of *line

	mu sync.Mutex // one line at a time
	w  io.Writer
}

func (c LogConfig) jsonHandler(w io.Writer) *jsonHandler {
	return &jsonHandler{level: c.Level, values: c.redactor(), out: &output{w: c.filtered(w)}}
}

// Enabled implements slog.Handler.
func (h *jsonHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements slog.Handler.
func (h *jsonHandler) Handle(_ context.Context, r slog.Record) error {
	l := h.begin(r.Time, r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		h.member(&l.Object, h.prefix, a)
		return true
	})
	return h.end(l)
}

// write is Handle for attributes that are in no record: slog's copies them.
func (h *jsonHandler) write(at time.Time, level slog.Level, msg string, attrs []slog.Attr) error {
	l := h.begin(at, level, msg)
	for _, a := range attrs {
		h.member(&l.Object, h.prefix, a)
	}
	return h.end(l)
}

// line is a line that is being made.
type line struct{ jsonline.Object }

func (h *jsonHandler) begin(at time.Time, level slog.Level, msg string) *line {
	l, ok := h.out.spare.Get().(*line)
	if !ok {
		l = new(line)
	}
	l.Object = jsonline.Begin(l.B[:0])
	l.Key("ts")
	l.B = append(at.UTC().AppendFormat(append(l.B, '"'), tsLayout), '"')
	l.Str("lvl", level.String())
	l.Str("msg", msg)
	if len(h.with) > 0 {
		l.B = append(append(l.B, ','), h.with...)
	}
	return l
}

func (h *jsonHandler) end(l *line) error {
	l.B = append(l.End(), '\n')
	h.out.mu.Lock()
	_, err := h.out.w.Write(l.B)
	h.out.mu.Unlock()
	if cap(l.B) <= bufferSize {
		h.out.spare.Put(l)
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h *jsonHandler) WithAttrs(as []slog.Attr) slog.Handler {
	more := *h
	o := jsonline.Begin(nil)
	o.B = append(o.B, h.with...)
	for _, a := range as {
		h.member(&o, h.prefix, a)
	}
	more.with = slices.Clip(o.B[1:])
	return &more
}

// WithGroup implements slog.Handler. The group is in the names, with a dot behind it.
func (h *jsonHandler) WithGroup(name string) slog.Handler {
	more := *h
	more.prefix += name + "."
	return &more
}

// member appends an attribute, redacted.
func (h *jsonHandler) member(o *jsonline.Object, prefix string, a slog.Attr) {
	if a.Value.Kind() == slog.KindLogValuer {
		a.Value = a.Value.Resolve()
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range a.Value.Group() {
			h.member(o, prefix, inner)
		}
		return
	}
	if a.Key == "" && a.Equal(slog.Attr{}) { // as slog.Handler asks for
		return
	}
	a = h.values.attr(a)
	if prefix != "" {
		a.Key = prefix + a.Key
	}
	o.Name(a.Key)
	value(o, a.Value)
}

// value appends a value whose name is there.
func value(o *jsonline.Object, v slog.Value) {
	switch v.Kind() {
	case slog.KindString:
		o.B = jsonline.Quote(o.B, v.String())
	case slog.KindInt64:
		o.Number(v.Int64())
	case slog.KindUint64:
		o.B = strconv.AppendUint(o.B, v.Uint64(), 10)
	case slog.KindBool:
		o.B = strconv.AppendBool(o.B, v.Bool())
	case slog.KindDuration:
		o.Number(int64(v.Duration()))
	case slog.KindTime:
		o.B = append(v.Time().AppendFormat(append(o.B, '"'), time.RFC3339Nano), '"')
	default:
		o.B = append(o.B, encoded(v.Any())...)
	}
}

// encoded is a value of any other form as JSON. What JSON cannot hold is named by its fault.
func encoded(v any) (out []byte) {
	defer func() {
		if recover() != nil {
			out = jsonline.Quote(nil, panicked(v))
		}
	}()
	if err, ok := v.(error); ok {
		return jsonline.Quote(nil, err.Error())
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return jsonline.Quote(nil, "!ERROR:"+err.Error())
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
