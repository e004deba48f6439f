package policy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"

	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// Reload makes what the source holds now the active policy, if it is another than
// before and stands every check. It is built aside and swapped in as a whole; when
// it is refused, the active one keeps serving.
func (e *Engine) Reload(ctx context.Context) error {
	e.sourcing.Lock()
	defer e.sourcing.Unlock()
	team, err := e.source(ctx) // of a bundle service this may take as long as it holds the request
	e.reload.Lock()
	defer e.reload.Unlock()
	if err != nil {
		return e.refuse("", err)
	}
	digest := bundle.Digest(e.core, team)
	if digest == e.known {
		if r := e.refused.Load(); r != nil {
			return r.err
		}
		return nil
	}
	gone, err := e.removed(team, e.cfg.Dir, e.remote != nil || bundle.Signed(e.cfg.Dir))
	if err != nil {
		return e.refuse(digest, err)
	}
	s, err := e.build(ctx, team)
	switch {
	case err == nil:
	case ctx.Err() != nil: // it is given up, and nothing is known of it
		return ctx.Err()
	case errors.Is(err, errChecks): // it may be taken when one of them has ended
		return e.refuse("", err)
	default:
		return e.refuse(digest, err)
	}
	s.removed = gone
	e.activate(s, digest)
	return nil
}

// source reads the policy from where it is configured to come from.
func (e *Engine) source(ctx context.Context) (*bundle.Bundle, error) {
	if e.remote == nil {
		return e.read(e.cfg.Dir)
	}
	team, err := e.remote.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	return team, e.older(team, e.remote.Place())
}

// older refuses an archive that is older than the active one: whoever can replay an old
// one could bring a withdrawn grant back.
func (e *Engine) older(team *bundle.Bundle, place string) error {
	if team.Sequence < e.newest() {
		return fmt.Errorf("policy %s: its sequence %d is below %d, which was active", place, team.Sequence, e.newest())
	}
	return nil
}

// read reads files, unless git is changing them. An archive that is older than the
// active one is refused.
func (e *Engine) read(dir string) (*bundle.Bundle, error) {
	if dir == "" {
		return nil, nil
	}
	if err := bundle.Settled(dir); err != nil {
		return nil, err
	}
	team, err := bundle.Read(dir, e.cfg.Keys)
	if err != nil {
		return nil, err
	}
	if bundle.Signed(dir) {
		return team, e.older(team, dir)
	}
	return team, bundle.Settled(dir) // nor did git begin meanwhile
}

// peek is read without the data, to see whether anything has changed.
func (e *Engine) peek(dir string) (*bundle.Bundle, error) {
	if dir == "" {
		return nil, nil
	}
	return bundle.Peek(dir, e.cfg.Keys)
}

// newest is the sequence of the archive that is active, or that was before a
// restart. Whoever can make the gateway start anew gains nothing by it.
func (e *Engine) newest() int64 {
	if s := e.active.Load(); s != nil {
		if s.team == nil {
			return 0
		}
		return s.team.Sequence
	}
	if e.cfg.LastGood == "" {
		return 0
	}
	kept, err := bundle.Load(e.cfg.LastGood)
	if err != nil {
		return 0
	}
	return kept.Sequence
}

// remembered is how many checked policies are known again: one that comes back, as
// in a rollback, is active at once.
const remembered = 16

// build checks a bundle and makes a snapshot of it.
func (e *Engine) build(ctx context.Context, team *bundle.Bundle) (*snapshot, error) {
	digest := bundle.Digest(e.core, team)
	if slices.Contains(e.passed, digest) {
		p, err := program.Compile(ctx, e.core, team)
		return e.snapshot(p, team), err
	}
	p, report, err := e.checkedProgram(ctx, team)
	if err = errors.Join(err, report.Findings.Err()); err != nil {
		return nil, err
	}
	for _, f := range report.Findings {
		e.cfg.Logger.Warn("policy", "finding", f.String())
	}
	e.passed = append(e.passed[max(0, len(e.passed)-remembered+1):], digest)
	return e.snapshot(p, team), nil
}

// mostChecks bounds the checks that go on though nobody waits for them any more.
const mostChecks = 3

var errChecks = errors.New("earlier policies are still being checked, which takes them far too long: restart the gateway with one that is not refused")

// checkedProgram is e.admit, unless checks go on that have been given up.
func (e *Engine) checkedProgram(ctx context.Context, team *bundle.Bundle) (*program.Program, admission.Report, error) {
	if e.checks.Load() >= mostChecks {
		return nil, admission.Report{}, errChecks
	}
	e.checks.Add(1)
	return e.admit(ctx, e.core, team, admission.Options{
		Ops: e.cfg.Catalogue.All(), Workers: e.workers(), Within: e.cfg.CheckWithin, Ended: func() { e.checks.Add(-1) },
	})
}

// workers are how many processors a check may use: all of them while nobody can call yet,
// and one beside calls.
func (e *Engine) workers() int {
	if e.active.Load() == nil {
		return runtime.GOMAXPROCS(0)
	}
	return 1
}

func (e *Engine) snapshot(p *program.Program, team *bundle.Bundle) *snapshot {
	if p == nil {
		return nil
	}
	return &snapshot{
		Program: p, team: team, cache: newCache(p, e.cfg.CacheSize, e.cfg.Budgets), lists: newLists(e.cfg.Budgets), listKeys: newListKeys(), masks: masksOf(p), asked: asked(p, team), loaded: e.cfg.Now(),
		all: document.Everything().In(p.Zone()),
	}
}

// asked are the transforms that a policy asks for, each with the same arguments once.
func asked(p *program.Program, team *bundle.Bundle) (out []lint.Transform) {
	seen := map[string]bool{}
	for _, t := range admission.Asked(p, team) {
		if key := fmt.Sprintf("%q %q %v", t.Op, t.Name, t.Args); !seen[key] {
			seen[key] = true
			out = append(out, t)
		}
	}
	return out
}

func (e *Engine) activate(s *snapshot, digest string) {
	before := ""
	if old := e.active.Swap(s); old != nil {
		before = old.Revision
		old.close()
		e.log.retire(s, old)
		e.endCanary("", "the active policy has changed since")
	}
	e.refused.Store(nil)
	e.known = digest
	reloads.Inc()
	e.cfg.Logger.Info("the policy is active", "revision", s.Revision, "revision_before", before)
	if len(s.removed) > 0 {
		e.cfg.Logger.Warn("the new policy no longer has what the one before had; calls that it refused or hid may pass", "removed", s.removed)
	}
	for _, what := range e.unfulfilled(s) {
		e.cfg.Logger.Warn("the policy demands something that the gateway does not have; the calls concerned are refused: load it or change the policy", "cause", what)
	}
	if e.cfg.LastGood == "" || s.team == nil {
		return
	}
	if err := bundle.Save(e.cfg.LastGood, s.team); err != nil {
		e.cfg.Logger.Warn("the last good policy could not be kept", "cause", err)
	}
}

// refuse notes why a policy is not active. The first refusal since a good one
// starts the clock of MaxStale.
func (e *Engine) refuse(digest string, err error) error {
	r := &refusal{err: err, since: e.cfg.Now()}
	if before := e.refused.Load(); before != nil {
		r.since = before.since
	}
	if before := e.refused.Load(); before == nil || before.err.Error() != err.Error() {
		refused.Inc()
		e.cfg.Logger.Error("the newest policy is refused", "cause", err)
	}
	e.refused.Store(r)
	e.known = digest
	return err
}

// restore activates the last good policy of an earlier run. It is checked like any
// other.
func (e *Engine) restore(ctx context.Context) error {
	if e.cfg.LastGood == "" {
		return errors.New("no last good policy is kept")
	}
	team, err := bundle.Load(e.cfg.LastGood)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no last good policy")
	}
	if err != nil {
		return err
	}
	s, err := e.build(ctx, team)
	if err != nil {
		return fmt.Errorf("the last good policy: %w", err)
	}
	e.active.Store(s)
	e.cfg.Logger.Warn("the last good policy of an earlier run is active", "revision", s.Revision)
	return nil
}
