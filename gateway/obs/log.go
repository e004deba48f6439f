// Package obs shows what the gateway does: logs, metrics, health. Whatever is
// written passes the redactor first.
package obs

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lmittmann/tint"
)

// LogConfig says where logs go.
type LogConfig struct {
	Dir    string       // directory of the files, "-" for none
	Level  slog.Leveler // nil for INFO
	Stderr *os.File
	// Redact removes secrets from the free texts of a record, each before it is quoted;
	// about is the key of the caller that it is about, empty for nobody. It appends to dst
	// and must not keep the slices. Optional.
	Redact func(about string, dst, text []byte) []byte
	// Filter sees every line before it is written. It appends what is written to dst,
	// and tells whether anything is. It must not keep the slices. Optional.
	Filter func(dst, line []byte) ([]byte, bool)
	Rotate Rotation
}

// Logs are the logs of the gateway.
type Logs struct {
	Requests  *slog.Logger // HTTP requests: requests.log
	Responses *slog.Logger // one record a call: responses.log
	Server    *slog.Logger // everything else: server.log and the terminal
	files     []*buffer
}

// NewLogs opens the logs. On a terminal everything is also shown there, in colour;
// elsewhere the server's log goes to stderr as JSON.
func NewLogs(c LogConfig) (*Logs, error) {
	l := &Logs{}
	c.Rotate = c.Rotate.withDefaults()
	if c.Level == nil {
		c.Level = slog.LevelInfo
	}
	if c.Dir != "-" {
		if err := os.MkdirAll(c.Dir, 0o750); err != nil {
			return nil, err
		}
	}
	show := func() slog.Handler { return slog.DiscardHandler }
	term := slog.Handler(c.jsonHandler(c.Stderr))
	if isTerminal(c.Stderr) {
		term = tint.NewTextHandler(c.filtered(c.Stderr), &tint.Options{Level: c.Level, TimeFormat: time.TimeOnly, ReplaceAttr: c.replace()})
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
	f := newBuffer(&logFile{path: filepath.Join(c.Dir, name+".log"), cfg: c.Rotate})
	l.files = append(l.files, f)
	return slog.New(both{c.jsonHandler(f), also}).With("logger", "portcullis."+name)
}

// replace redacts the values of attributes, for a terminal.
func (c LogConfig) replace() func([]string, slog.Attr) slog.Attr {
	r := c.redactor()
	return func(_ []string, a slog.Attr) slog.Attr { return r.attr(a) }
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
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Reopen lets the files go, so that the next records open what has their names then.
func (l *Logs) Reopen() error { return l.Close() }

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

// HTTPErrors is where net/http says what it cannot tell a caller. refused hears of
// connections that ended because of what came over them: anybody can make as many of
// those as they like. rule is what was broken; it says whether this one is logged.
func (l *Logs) HTTPErrors(refused func(addr, rule string) (logged bool)) *log.Logger {
	return log.New(&serverErrors{l.Server, refused}, "", 0)
}

type serverErrors struct {
	log     *slog.Logger
	refused func(addr, rule string) bool
}

// Write takes one message, as package log gives it. What net/http itself does wrong has
// no address in it, and neither has what many peers do; either is logged once a window.
func (s *serverErrors) Write(p []byte) (int, error) {
	text := strings.TrimPrefix(strings.TrimSpace(string(p)), "http: ")
	msg, rule := "HTTP server", "http_connection"
	if strings.HasPrefix(text, "TLS handshake error from ") {
		msg, rule = "TLS handshake failed", "tls_handshake"
	}
	addr, cause := peerIn(text)
	if strings.HasPrefix(text, "Accept error") || s.refused(addr, rule) {
		s.log.Warn(msg, "client", addr, "cause", cause[:min(len(cause), maxCause)])
	}
	return len(p), nil
}

// maxCause bounds what is logged of a message, in bytes: it may quote its peer.
const maxCause = 512

// peerIn finds the address in a message of net/http about one peer, and what it says
// beside that; without one, the address is "unknown".
func peerIn(text string) (addr, cause string) {
	for _, before := range []string{" from client ", " from "} {
		what, rest, ok := strings.Cut(text, before)
		if !ok {
			continue
		}
		at, why, _ := strings.Cut(rest, ": ")
		if host, _, err := net.SplitHostPort(at); err == nil {
			if what == "TLS handshake error" {
				return host, why
			}
			return host, strings.TrimSuffix(what+": "+why, ": ")
		}
	}
	return "unknown", text
}
