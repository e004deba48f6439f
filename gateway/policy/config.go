package policy

import (
	"log/slog"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/remote"
)

// Config says what an engine decides with. Catalogue must be set; every other zero
// value means its default.
type Config struct {
	Dir       string        // POLICY_DIR: directory, file or signed archive; empty for the embedded policy alone
	Keys      bundle.Keys   // public keys of signed archives, by key id
	Remote    remote.Config // bundle service, in the place of Dir; without a URL there is none
	Timeout   time.Duration // of one decision, 25 ms
	Catalogue *op.Catalogue

	// StandardRequests in StandardWindow are rate and burst of the tier standard,
	// over what the data say; 0 leaves it to the data.
	StandardRequests int
	StandardWindow   time.Duration

	MaxTTL     time.Duration // cap of leases and certificates, 24 h
	MaxWrapTTL time.Duration // cap of a wrapped result, 1 h

	// Transform says why a decision may not ask for a transform of an operation; nil
	// allows everything. It is asked of what the policy says in so many words, for the
	// log and the status: each call is held against the transforms that are pinned
	// before it is sent.
	Transform func(op, name string, args map[string]any) error

	Poll     time.Duration // how often Watch looks for a change, 2 s
	Interval time.Duration // how often it asks the bundle service, 30 s
	// SignedRemovals takes a policy that no longer has a rule, a team or an obligation of
	// the one before only from a signed archive.
	SignedRemovals bool
	LastGood       string // file that keeps the last good policy over a restart; empty for none
	// CheckWithin bounds how long a policy is checked until it is refused: no other one is
	// taken meanwhile. admission.MaxTime.
	CheckWithin time.Duration
	// MaxStale is how long the last good policy serves beside a newer one that was
	// refused. After that everything is denied. 24 h; negative for ever.
	MaxStale time.Duration

	CacheSize int             // decisions kept, 65536; negative for none
	Budgets   *budget.Budgets // of which what is kept takes; nil bounds nothing

	Shadow string // a candidate, as Dir, that is evaluated beside the active policy and never enforced
	// Canary is the share of callers, in percent, for whom the candidate decides all the
	// same; 0 for none.
	Canary float64

	LogFile string // decision log, one JSON object a line; empty for none
	LogKey  []byte // with which masked values are hashed; random when empty
	// LogMaxBytes is when a file of the log is full (0 for never), LogKeep how many full
	// ones stay (0 for all).
	LogMaxBytes int64
	LogKeep     int
	Keep        int     // decisions that can be explained, 4096
	Shared      *Shared // decisions of all replicas, which Tell writes; nil for those of this one alone

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is the clock; tests move it
}

func (c Config) withDefaults() Config {
	c.Timeout = either(c.Timeout, 25*time.Millisecond)
	c.StandardWindow = either(c.StandardWindow, time.Minute)
	c.MaxTTL = either(c.MaxTTL, 24*time.Hour)
	c.MaxWrapTTL = either(c.MaxWrapTTL, time.Hour)
	c.Poll = either(c.Poll, 2*time.Second)
	c.Interval = either(c.Interval, 30*time.Second)
	c.MaxStale = either(c.MaxStale, 24*time.Hour)
	c.CacheSize = either(c.CacheSize, 1<<16)
	c.Keep = either(c.Keep, 4096)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
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
