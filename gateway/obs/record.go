package obs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Recorder writes the one log record of each call.
type Recorder struct {
	Log   *slog.Logger
	Meter *Meter
	Trace *Tracer
	// Spend takes about as many bytes of a log from the caller's share of a second, and
	// reports whether they may be written. Errors are logged whatever it says. Optional.
	Spend func(c *call.Caller, bytes int) bool
}

// Record logs and counts a call that has ended.
func (r Recorder) Record(ctx context.Context, rec *op.Record) {
	r.Meter.Call(rec)
	traceID := r.Trace.Call(rec)
	level := levelOf(rec)
	if !r.Log.Enabled(ctx, level) {
		return
	}
	recorded(ctx)
	attrs := attributesOf(make([]slog.Attr, 0, 24), rec, traceID)
	if r.Spend == nil || r.Spend(rec.Request.Caller, LineBytes(attrs)) || level >= slog.LevelError {
		r.write(ctx, level, attrs)
	}
}

// write logs the record, as LogAttrs does, which looks for the line of code as well.
func (r Recorder) write(ctx context.Context, level slog.Level, attrs []slog.Attr) {
	h := r.Log.Handler()
	if b, ok := h.(both); ok && !b.b.Enabled(ctx, level) {
		h = b.a // to the file alone
	}
	if file, ok := h.(*jsonHandler); ok {
		_ = file.write(time.Now(), level, "call", attrs) // as LogAttrs does
		return
	}
	line := slog.NewRecord(time.Now(), level, "call", 0)
	line.AddAttrs(attrs...)
	_ = h.Handle(ctx, line) // the same
}

// attributesOf appends what the log says of a call.
func attributesOf(attrs []slog.Attr, rec *op.Record, traceID string) []slog.Attr {
	attrs = append(attrs,
		slog.String("op", rec.Request.Op), slog.String("code", rec.Code()),
		slog.String("transport", string(rec.Request.Transport)), slog.String("subject", rec.Request.Caller.Subject),
		slog.String("request_id", rec.Request.ID), slog.String("decision_id", rec.Decision.ID),
		slog.Int64("duration_us", rec.Total.Microseconds()),
	)
	if ip := rec.Request.Caller.SourceIP; ip.IsValid() {
		attrs = append(attrs, slog.String("client", ip.String()))
	}
	if b := rec.Request.Caller.Behalf; b != nil {
		attrs = append(attrs, slog.String("on_behalf_of", b.Subject))
	}
	if rec.Bound != nil {
		attrs = append(attrs, slog.String("mount", rec.Bound.Resource.Mount), About(rec.Request.Caller, "path", rec.Bound.Resource.Path.String()))
	}
	for i, name := range stageKeys() {
		if t := rec.Times[i]; t > 0 {
			attrs = append(attrs, slog.Int64(name, t.Microseconds()))
		}
	}
	if traceID != "" {
		attrs = append(attrs, slog.String("trace_id", traceID))
	}
	return faults(attrs, rec)
}

// stageKeys are the names of the stages' times, in microseconds. A test holds them
// against the stages.
func stageKeys() [7]string {
	return [...]string{"bind_us", "decide_us", "limit_us", "audit_us", "vault_us", "transform_us", "outcome_us"}
}

// LineBytes is about how long a line is with these attributes.
func LineBytes(attrs []slog.Attr) int {
	n := 128 // time, level, logger and message
	for _, a := range attrs {
		n += len(a.Key) + 6
		switch v := a.Value; v.Kind() {
		case slog.KindString:
			n += len(v.String())
		case slog.KindAny:
			n += lengthOf(v.Any())
		default:
			n += 8
		}
	}
	return n
}

// lengthOf is how long a value prints.
func lengthOf(v any) int {
	if a, ok := v.(about); ok {
		v = a.value
	}
	if s, ok := v.(string); ok {
		return len(s)
	}
	return len(fmt.Sprint(v))
}

// levelOf is ERROR for what the gateway, its policy or its Vault got wrong, and for what
// nobody can tell; WARN for every other call that failed.
func levelOf(rec *op.Record) slog.Level {
	if rec.Panicked || rec.AuditLost || rec.UndoFailed {
		return slog.LevelError
	}
	if rec.Err == nil {
		return slog.LevelInfo
	}
	switch rec.Err.Code {
	case call.Internal, call.AuditUnavailable, call.PolicyError, call.TransformFailed, call.TransformUnavailable,
		call.VaultAuth, call.VaultError, call.OutcomeUnknown:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// faults appends what came of a call, and what went wrong.
func faults(as []slog.Attr, rec *op.Record) []slog.Attr {
	if rec.Bytes > 0 {
		as = append(as, slog.Int("bytes", rec.Bytes))
	}
	if rec.Outcome.Version > 0 {
		as = append(as, slog.Int("version", rec.Outcome.Version))
	}
	if len(rec.Warnings) > 0 {
		as = append(as, About(rec.Request.Caller, "warnings", rec.Warnings))
	}
	if rec.Err != nil && rec.Err.Err != nil {
		as = append(as, About(rec.Request.Caller, "cause", rec.Err.Err))
	}
	if rec.AuditLost {
		as = append(as, slog.Bool("audit_lost", true))
	}
	if rec.UndoFailed {
		as = append(as, slog.Bool("undo_failed", true))
	}
	if rec.Panicked {
		as = append(as, slog.Bool("panic", true))
	}
	return as
}
