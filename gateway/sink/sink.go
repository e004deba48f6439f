// Package sink copies evidence to other systems: syslog, an HTTPS collector,
// standard output. The audit file decides and never waits for a sink: a line that is
// in the file is offered, and the sink keeps it in bounded memory, then in a bounded
// spool on disk, until the other system has it. What does not fit is counted as lost;
// the numbers (seq) of the lines show the receiver what it lacks.
//
// Delivery is at least once and in order: a line can come twice after a connection
// broke, with the same seq.
package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// Config says where lines go.
type Config struct {
	// URLs are syslog+tcp://HOST[:601], syslog+tls://HOST[:6514], https://HOST/PATH and
	// stdout, each with #format=NAME where its receiver gets events of a format.
	URLs []string
	// Formats are the names that may stand there, and Format appends the event of a line.
	Formats []string
	Format  func(dst []byte, format string, line []byte) ([]byte, error)
	// Stdout is what "stdout" means; nil where standard output is not free.
	Stdout io.Writer
	// Spool is the directory below which each network sink keeps what waits; empty for
	// memory alone. SpoolBytes bounds the files of one sink.
	Spool      string
	SpoolBytes int64
	// MemoryBytes bounds what one sink keeps in memory; default 4 MiB.
	MemoryBytes int64
	// CA (PEM) replaces the system's authorities for TLS and HTTPS. Cert and Key are the
	// gateway's own certificate for them.
	CA, Cert, Key string
	// TokenFile holds a bearer token for the https sink, HMACFile the key with which its
	// requests are signed. Both are read at every request.
	TokenFile, HMACFile string
	// Log gets a record when a sink fails and when it recovers.
	Log *slog.Logger
	// Backoff is the first wait after a failure, default 250 ms; it doubles up to 30 s.
	Backoff time.Duration
}

// Sinks are the sinks of one audit log.
type Sinks struct {
	all []*one
}

// sender hands lines to another system. send returns nil when the system has all of
// them; otherwise it is called again with the same batch. It ends when ctx does.
type sender interface {
	send(ctx context.Context, b batch) error
	close() error
}

// New checks the configuration. It connects to nothing and writes nothing. The error
// names every problem and no part of a URL but its scheme and host.
func New(c Config) (*Sinks, error) {
	s := &Sinks{}
	var errs []error
	seen, named := map[string]bool{}, map[string]int{}
	for i, raw := range c.URLs {
		t, err := parse(raw)
		if err == nil && seen[raw] {
			err = errors.New(t.name + " is there twice")
		}
		seen[raw] = true
		if named[t.name]++; named[t.name] > 1 { // two ways to one host
			t.name = fmt.Sprintf("%s (%d)", t.name, named[t.name])
		}
		var to sender
		if err == nil {
			to, err = c.sender(t)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("AUDIT_SINKS: entry %d: %w", i+1, err))
			continue
		}
		s.all = append(s.all, newOne(c, t, to))
	}
	return s, errors.Join(append(errs, c.oneReceiver())...)
}

// spoolDir is where a sink's lines wait on disk; standard output has no spool.
func (c Config) spoolDir(t target) string {
	if c.Spool == "" || t.kind == kindStdout {
		return ""
	}
	return filepath.Join(c.Spool, t.dir)
}

// Len is the number of sinks.
func (s *Sinks) Len() int { return len(s.all) }

// Offer takes a line of evidence without its newline, copies it and returns at once.
func (s *Sinks) Offer(line []byte) {
	for _, o := range s.all {
		o.queue.offer(line)
	}
}

// Run delivers until ctx ends.
func (s *Sinks) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, o := range s.all {
		wg.Go(func() { o.run(ctx) })
	}
	wg.Wait()
}

// Close delivers what waits until ctx ends, and leaves the rest in the spool for the
// next start. It returns an error that says how many lines no spool could take.
func (s *Sinks) Close(ctx context.Context) error {
	errs := make([]error, len(s.all))
	var wg sync.WaitGroup
	for i, o := range s.all {
		wg.Go(func() { errs[i] = o.finish(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Status is how a sink is.
type Status struct {
	Name     string    // scheme and host
	Kind     string    // scheme
	Up       bool      // the last delivery succeeded, or none was tried
	Since    time.Time // of the first failure, when it is not up
	Waiting  int       // lines
	Memory   int64     // bytes in memory
	Disk     int64     // bytes in the spool
	Lost     uint64    // lines since the start
	Sent     uint64    // lines since the start
	Failures uint64    // attempts that failed
	Err      string    // of the last attempt that failed, and of the spool
}

// Status is the state of every sink, in the order of the configuration.
func (s *Sinks) Status() []Status {
	out := make([]Status, len(s.all))
	for i, o := range s.all {
		out[i] = o.status()
	}
	return out
}
