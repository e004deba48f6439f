package policy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/remote"
)

// StandardTier is charged when nothing names a tier.
const StandardTier = "standard"

// Engine decides. All its methods may be called at once.
type Engine struct {
	cfg     Config
	core    *bundle.Bundle
	active  atomic.Pointer[snapshot]
	refused atomic.Pointer[refusal] // why the newest policy is not the active one, nil when it is
	log     *journal
	shadow  *shadow
	canary  *canary // nil for none
	// failedLists counts the answers of lists that came to nothing.
	failedLists atomic.Int64
	remote      *remote.Source // nil for files; guarded by sourcing

	scratch *sync.Pool    // of scratch
	turns   chan struct{} // holds one entry for each evaluation that runs

	// sourcing is held from before a source is read until what it has is active, so that
	// what was read later is not replaced by what was read before. It is taken before reload.
	sourcing sync.Mutex
	reload   sync.Mutex   // held by the one who replaces the active policy; guards the fields below
	known    string       // digest of what was tried last
	passed   []string     // digests of the last policies that stood every check
	checks   atomic.Int32 // that are going on, those included that nobody waits for
	admit    func(ctx context.Context, core, team *bundle.Bundle, o admission.Options) (*program.Program, admission.Report, error)
}

// snapshot is an active program. It is never changed.
type snapshot struct {
	*program.Program
	team  *bundle.Bundle
	cache *cache
	lists *lists
	masks
	listKeys document.Keyer   // of lists
	asked    []lint.Transform // in so many words
	loaded   time.Time
	all      document.Reads // every field of the input, as the log has it

	removed []string // rules, teams and obligations that the policy before had and this one has not
	retired bool     // it is what records of old decisions need, and can decide nothing
}

// retire is what records of decisions need of a policy that is long gone.
func (s *snapshot) retire() *snapshot {
	return &snapshot{Program: s.Program.Retired(), masks: s.masks, retired: true}
}

// close drops what was kept of a policy that is active no more.
func (s *snapshot) close() {
	s.cache.close()
	s.lists.close()
}

// refusal is a newer policy that was refused.
type refusal struct {
	err   error
	since time.Time
}

// Open loads the policy. When it is refused and a last good one is on disk, that
// one serves; otherwise the error says everything that is wrong.
func Open(c Config) (*Engine, error) {
	core, err := bundle.Core()
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: c.withDefaults(), core: core, admit: admission.Check, scratch: newScratch(), turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if e.log, err = newJournal(e.cfg); err != nil {
		return nil, err
	}
	if c.Remote.URL != "" {
		if e.remote, err = remote.New(c.Remote); err != nil {
			return nil, errors.Join(err, e.log.close())
		}
	}
	ctx := context.Background()
	if err := e.first(ctx); err != nil {
		if rerr := e.restore(ctx); rerr != nil {
			return nil, errors.Join(err, rerr, e.log.close())
		}
	}
	if e.cfg.Shadow != "" {
		e.canary = newCanary(e.cfg.Canary)
		e.canary.begin()
	}
	if e.shadow, err = e.newShadow(ctx); err != nil {
		return nil, errors.Join(err, e.log.close())
	}
	return e, nil
}

// first loads the policy for the first time. Files that git is changing are waited for.
func (e *Engine) first(ctx context.Context) error {
	err := e.Reload(ctx)
	for range gitPatience {
		if !errors.Is(err, bundle.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(gitEvery):
		}
		err = e.Reload(ctx)
	}
	return err
}

// How often, and how many times, the start looks whether git is done: 3 s in all.
const (
	gitEvery    = 300 * time.Millisecond
	gitPatience = 10
)

// Close writes what is left of the decision log.
func (e *Engine) Close() error { return e.log.close() }

// Tier is what the active policy's data say of a tier, or those of a candidate that
// decides for some callers, when it has a tier of its own.
func (e *Engine) Tier(name string) (op.Tier, bool) {
	t, ok := e.tier(e.active.Load(), name)
	if !ok && e.canary != nil {
		return e.tier(e.shadow.candidate.Load(), name)
	}
	return t, ok
}

// TierOf is the name of the tier that a caller's calls and streams count against.
func (e *Engine) TierOf(c *call.Caller) string {
	return e.of(c).TierOf(&document.Principal{ID: c.Subject, Tenant: c.Tenant, Tier: c.Tier, Roles: c.Roles})
}

// tier applies the configured rate of the tier standard, where there is one, over the
// data. It takes the snapshot that decided, so that decision and tier are of one
// revision.
func (e *Engine) tier(s *snapshot, name string) (op.Tier, bool) {
	t, ok := s.Tiers[name]
	if name == StandardTier && e.cfg.StandardRequests > 0 {
		t.Name, ok = name, true
		t.Requests, t.Burst, t.Window = e.cfg.StandardRequests, e.cfg.StandardRequests, e.cfg.StandardWindow
	}
	return t, ok
}

// Revision names the policy in force.
func (e *Engine) Revision() string { return e.active.Load().Revision }

// Status is what health and metrics say of the policy.
type Status struct {
	Revision   string
	LoadedAt   time.Time
	LastError  string // why the newest policy was refused, empty when it was not
	Stale      bool   // what is active is not the newest
	Expired    bool   // it has not been for longer than MaxStale: everything is denied
	Cacheable  bool   // decisions are kept
	Uncachable string // why not
	// Unfulfilled are the transforms that the policy asks for and that are not to be
	// had now: the calls that they are asked of are refused.
	Unfulfilled []string
	Shadow      ShadowStatus
	// Removed are the rules, teams and obligations that the policy before had and this
	// one has not.
	Removed []string
}

// ShadowStatus is what is evaluated beside the active policy and never enforced.
type ShadowStatus struct {
	Configured bool
	Revision   string
	LoadedAt   time.Time
	LastError  string // why the newest candidate was refused, empty when it was not
	// Canary is the share of callers, in percent, for whom it decides; Returned is why it
	// decides for nobody any more.
	Canary   float64
	Returned string
}

// Status reports what is active.
func (e *Engine) Status() Status {
	s := e.active.Load()
	st := Status{Revision: s.Revision, LoadedAt: s.loaded}
	st.Cacheable, st.Uncachable = s.Cacheable()
	if r := e.refused.Load(); r != nil {
		st.LastError, st.Stale, st.Expired = r.err.Error(), true, e.expired(r)
	}
	st.Unfulfilled = e.unfulfilled(s)
	st.Shadow = e.shadow.status()
	st.Shadow.Canary, st.Shadow.Returned = e.canary.status()
	st.Removed = s.removed
	return st
}

func (e *Engine) unfulfilled(s *snapshot) (out []string) {
	if e.cfg.Transform == nil {
		return nil
	}
	for _, t := range s.asked {
		if err := e.cfg.Transform(t.Op, t.Name, t.Args); err != nil {
			out = append(out, fmt.Sprintf("%s:%d: transform %q: %v", t.File, t.Line, t.Name, err))
		}
	}
	return out
}

func (e *Engine) expired(r *refusal) bool {
	return r != nil && e.cfg.MaxStale > 0 && e.cfg.Now().Sub(r.since) > e.cfg.MaxStale
}
