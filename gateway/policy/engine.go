package policy

import (
	"context"
	"sync/atomic"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// StandardTier is charged when nothing names a tier.
const StandardTier = "standard"

// Engine decides. All its methods may be called at once.
type Engine struct {
	cfg    Config
	core   *bundle.Bundle
	active atomic.Pointer[snapshot]
}

// snapshot is an active program. It is never changed.
type snapshot struct {
	*program.Program
	loaded time.Time
}

// Open loads the policy. The error says everything that is wrong with it.
func Open(c Config) (*Engine, error) {
	core, err := bundle.Core()
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: c.withDefaults(), core: core}
	s, err := e.build(context.Background())
	if err != nil {
		return nil, err
	}
	e.active.Store(s)
	return e, nil
}

// build makes a snapshot of what the source holds now.
func (e *Engine) build(ctx context.Context) (*snapshot, error) {
	var team *bundle.Bundle
	if e.cfg.Dir != "" {
		var err error
		if team, err = bundle.Read(e.cfg.Dir, nil); err != nil {
			return nil, err
		}
	}
	p, err := program.Compile(ctx, e.core, team)
	if err != nil {
		return nil, err
	}
	return &snapshot{Program: p, loaded: time.Now()}, nil
}

// Tier is what the active policy's data say of a tier.
func (e *Engine) Tier(name string) (op.Tier, bool) { return e.tier(e.active.Load(), name) }

// tier applies the configured rate of the tier standard. It takes the snapshot
// that decided, so that decision and tier are of one revision.
func (e *Engine) tier(s *snapshot, name string) (op.Tier, bool) {
	t, ok := s.Tiers[name]
	if name == StandardTier {
		t.Name, ok = name, true
		t.Requests, t.Burst, t.Window = e.cfg.StandardRequests, e.cfg.StandardRequests, e.cfg.StandardWindow
	}
	return t, ok
}

// Status is what health and metrics say of the policy.
type Status struct {
	Revision  string
	LoadedAt  time.Time
	LastError string // why the newest policy was refused, empty when it was not
	Stale     bool   // what is active is not the newest
}

// Status reports what is active.
func (e *Engine) Status() Status {
	s := e.active.Load()
	return Status{Revision: s.Revision, LoadedAt: s.loaded}
}
