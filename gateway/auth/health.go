package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// notice signals a change to everybody who waits on its channel: the channel is closed
// and replaced.
type notice struct {
	mu sync.Mutex // guards c
	c  chan struct{}
}

func (n *notice) channel() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c == nil {
		n.c = make(chan struct{})
	}
	return n.c
}

func (n *notice) broadcast() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c != nil {
		close(n.c)
	}
	n.c = nil
}

// health remembers what is wrong with each source.
type health struct {
	mu  sync.Mutex // guards bad
	bad map[string]error
}

// set remembers the state of a source and reports whether it is news.
func (h *health) set(source string, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.bad[source]
	if h.bad == nil {
		h.bad = map[string]error{}
	}
	h.bad[source] = err
	return fmt.Sprint(old) != fmt.Sprint(err)
}

// Health reports every source that could not be read again, nil when all is well.
// The gateway serves on with what it knew.
func (ch *Authenticator) Health() error {
	ch.health.mu.Lock()
	defer ch.health.mu.Unlock()
	var errs []error
	for source, err := range ch.health.bad {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", source, err))
		}
	}
	return errors.Join(errs...)
}

func (ch *Authenticator) refreshDenied(now time.Time) {
	if ch.denied.Due(now) {
		ch.note("deny list", ch.denied.Reload)
	}
}

// note does one look at a source, reports a change and remembers what is wrong.
func (ch *Authenticator) note(source string, look func() (bool, error)) {
	changed, err := look()
	if changed {
		reloads.Inc()
		ch.changed.broadcast()
		ch.log.Info("a source of credentials has changed: the new state is in force", "source", source)
	}
	news := ch.health.set(source, err)
	if news && err == nil && !changed {
		ch.log.Info("a source of credentials is usable again", "source", source)
	}
	if news && err != nil {
		reloadFails.Inc()
		ch.log.LogAttrs(context.Background(), slog.LevelError, "source not usable, the last good state stays",
			slog.String("source", source), slog.String("detail", err.Error()))
	}
}

// ReplaceDenied shuts out what the lines name, which are for all replicas, and lets those in
// again who were denied by such lines before. Bad lines are an error.
func (ch *Authenticator) ReplaceDenied(lines []byte) error {
	err := ch.denied.Replace(lines)
	ch.changed.broadcast()
	return err
}
