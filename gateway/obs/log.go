// Package obs shows what the gateway does: logs, metrics, health. Whatever is
// written passes the redactor first.
package obs

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lmittmann/tint"
	"gopkg.in/natefinch/lumberjack.v2"
)

// LogConfig says where logs go.
type LogConfig struct {
	Dir    string // directory of the files, "-" for none
	Level  slog.Leveler
	Stderr *os.File
	// Filter sees every line before it is written. It appends what is written to dst,
	// and tells whether anything is. It must not keep the slices. Optional.
	Filter func(dst, line []byte) ([]byte, bool)
}

// Logs are the logs of the gateway.
type Logs struct {
	Requests  *slog.Logger // one record an HTTP request: requests.log
	Responses *slog.Logger // one record a call: responses.log
	Server    *slog.Logger // everything else: server.log and the terminal
	closers   []io.Closer
}

// The files are rotated at 10 MB, five old ones are kept.
const (
	maxMegabytes = 10
	keepFiles    = 5
)

// NewLogs opens the logs. On a terminal everything is also shown there, in colour;
// elsewhere the server's log goes to stderr as JSON.
func NewLogs(c LogConfig) (*Logs, error) {
	l := &Logs{}
	if c.Dir != "-" {
		if err := os.MkdirAll(c.Dir, 0o750); err != nil {
			return nil, err
		}
	}
	show := func() slog.Handler { return slog.DiscardHandler }
	term := slog.Handler(slog.NewJSONHandler(c.filtered(c.Stderr), c.options()))
	if isTerminal(c.Stderr) {
		term = tint.NewTextHandler(c.filtered(c.Stderr), &tint.Options{Level: c.Level, TimeFormat: time.TimeOnly})
	}
	if isTerminal(c.Stderr) || c.Dir == "-" {
		show = func() slog.Handler { return term }
	}
	l.Requests = l.open(c, "requests", show())
	l.Responses = l.open(c, "responses", show())
	l.Server = l.open(c, "server", term)
	return l, nil
}

func (l *Logs) open(c LogConfig, name string, also slog.Handler) *slog.Logger {
	if c.Dir == "-" {
		return slog.New(also).With("logger", "portcullis."+name)
	}
	f := newBuffer(&lumberjack.Logger{Filename: filepath.Join(c.Dir, name+".log"), MaxSize: maxMegabytes, MaxBackups: keepFiles})
	l.closers = append(l.closers, f)
	return slog.New(both{slog.NewJSONHandler(c.filtered(f), c.options()), also}).With("logger", "portcullis."+name)
}

// options name the fields as the logs of this kind always did: ts, lvl, msg.
func (c LogConfig) options() *slog.HandlerOptions {
	return &slog.HandlerOptions{Level: c.Level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch a.Key {
		case slog.TimeKey:
			a.Key = "ts"
			a.Value = slog.StringValue(a.Value.Time().UTC().Format("2006-01-02T15:04:05.000000"))
		case slog.LevelKey:
			a.Key = "lvl"
		}
		return a
	}}
}

func (c LogConfig) filtered(w io.Writer) io.Writer {
	if c.Filter == nil {
		return w
	}
	return &filterWriter{w: w, filter: c.Filter}
}

// Close closes the files.
func (l *Logs) Close() error {
	var errs []error
	for _, c := range l.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// filterWriter is behind one handler, which writes one line at a time.
type filterWriter struct {
	w      io.Writer
	filter func(dst, line []byte) ([]byte, bool)
	line   []byte
}

func (f *filterWriter) Write(p []byte) (int, error) {
	var keep bool
	if f.line, keep = f.filter(f.line[:0], p); !keep {
		return len(p), nil
	}
	if _, err := f.w.Write(f.line); err != nil {
		return 0, err
	}
	return len(p), nil
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// both hands each record to two handlers.
type both struct{ a, b slog.Handler }

func (h both) Enabled(ctx context.Context, l slog.Level) bool {
	return h.a.Enabled(ctx, l) || h.b.Enabled(ctx, l)
}

func (h both) Handle(ctx context.Context, r slog.Record) error {
	var errA, errB error
	if h.a.Enabled(ctx, r.Level) {
		errA = h.a.Handle(ctx, r)
	}
	if h.b.Enabled(ctx, r.Level) {
		errB = h.b.Handle(ctx, r.Clone())
	}
	return errors.Join(errA, errB)
}

func (h both) WithAttrs(as []slog.Attr) slog.Handler {
	return both{h.a.WithAttrs(as), h.b.WithAttrs(as)}
}
func (h both) WithGroup(n string) slog.Handler { return both{h.a.WithGroup(n), h.b.WithGroup(n)} }

// HTTPErrors is where net/http says what it cannot tell a caller.
func (l *Logs) HTTPErrors() *log.Logger {
	return slog.NewLogLogger(l.Server.Handler(), slog.LevelWarn)
}
