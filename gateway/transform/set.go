package transform

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/transform/native"
)

// Options of a set. The zero value works.
type Options struct {
	// CacheDir keeps compiled modules between starts. It must be ours, mode 0700.
	CacheDir string
	// Known is checked against the selectors of the manifest; nothing when it is zero.
	Known Known
	// BaseRedactor redacts every log line; by default a redactor of its own.
	BaseRedactor *native.Redactor
	// Log gets one record per reload.
	Log *slog.Logger
	// Now is the clock of quarantine and status.
	Now func() time.Time
}

// Set is the current generation and the way to the next one.
type Set struct {
	manifest string
	o        Options
	current  atomic.Pointer[Generation]
	mu       sync.Mutex // one reload at a time; guards seen and number
	seen     fingerprint
	number   uint64
	// failed is the error of the last reload, nil when it worked.
	failed atomic.Pointer[error]
}

// Open loads the manifest, which must be right at the start. With an empty path
// there are only the built-ins.
func Open(ctx context.Context, manifest string, o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.BaseRedactor == nil {
		o.BaseRedactor = native.New()
	}
	s := &Set{manifest: manifest, o: o}
	if err := s.Reload(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload builds the generation that the manifest describes now and swaps it in.
// When that fails, the one that serves goes on and Status tells why.
func (s *Set) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = s.look()
	g, err := s.build(ctx)
	if err != nil {
		reloadsFailed.Inc()
		s.failed.Store(&err)
		s.o.Log.Error("transform reload failed", "error", err)
		return err
	}
	reloads.Inc()
	s.failed.Store(nil)
	s.number++
	g.Number = s.number
	if old := s.current.Swap(g); old != nil {
		old.Release()
	}
	s.o.Log.Info("transform modules loaded", "generation", g.Number, "modules", len(g.modules))
	return nil
}

func (s *Set) build(ctx context.Context) (*Generation, error) {
	m := &Manifest{}
	if s.manifest != "" {
		var err error
		if m, err = ReadManifest(s.manifest); err != nil {
			return nil, err
		}
		if err = m.CheckSelectors(s.o.Known); err != nil {
			return nil, err
		}
	}
	g, err := build(ctx, m, s.o)
	if err != nil {
		return nil, fmt.Errorf("load transforms: %w", err)
	}
	return g, nil
}

// Pin returns the current generation, which stays usable until it is released.
func (s *Set) Pin() *Generation {
	for {
		// A generation that closed between the two lines has a successor.
		if g := s.current.Load(); g.retain() {
			return g
		}
	}
}

// Close ends the set. Calls that have a generation finish; of those that come
// later, plans are refused, and log records are redacted by the base redactor alone.
func (s *Set) Close() {
	last := &Generation{closed: true}
	last.refs.Store(1)
	s.current.Swap(last).Release()
}
