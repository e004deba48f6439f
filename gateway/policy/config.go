package policy

import (
	"log/slog"
	"time"

	"portcullis/gateway/op"
)

// Config says what an engine decides with. Catalogue must be set; every other zero
// value means its default.
type Config struct {
	Dir       string        // POLICY_DIR: directory, file or signed archive; empty for the embedded policy alone
	Timeout   time.Duration // of one decision, 25 ms
	Catalogue *op.Catalogue

	// StandardRequests in StandardWindow are rate and burst of the tier standard,
	// over what the data say. 60 in 60 s.
	StandardRequests int
	StandardWindow   time.Duration

	MaxTTL     time.Duration // cap of leases and certificates, 24 h
	MaxWrapTTL time.Duration // cap of a wrapped result, 1 h

	// Transforms are the names that a decision may ask for; nil allows every name,
	// because the transforms are pinned before the call is sent.
	Transforms func(name string) bool

	Logger *slog.Logger // nil discards
}

func (c Config) withDefaults() Config {
	c.Timeout = either(c.Timeout, 25*time.Millisecond)
	c.StandardRequests = either(c.StandardRequests, 60)
	c.StandardWindow = either(c.StandardWindow, time.Minute)
	c.MaxTTL = either(c.MaxTTL, 24*time.Hour)
	c.MaxWrapTTL = either(c.MaxWrapTTL, time.Hour)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func either[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
