package policy

import (
	"context"
	"errors"
	"sync"
	"time"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/retry"
)

// Watch looks for a changed policy, and for a changed shadow, until the context ends.
// A change is taken when it was the same at two looks, so that files that are still
// being written, of which some may be missing, are not taken for the policy.
func (e *Engine) Watch(ctx context.Context) {
	var wg sync.WaitGroup
	if e.remote != nil {
		wg.Go(func() { e.follow(ctx) })
	}
	defer wg.Wait()
	t := time.NewTicker(e.cfg.Poll)
	defer t.Stop()
	active, candidate := settled{path: e.cfg.Dir}, settled{path: e.cfg.Shadow}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		e.turn(ctx, &active, &candidate)
	}
}

// follow asks the bundle service, which gives whole archives, so one look is enough. A
// service that holds a request until there is something new is asked again at once, but
// for what a second keeps apart.
func (e *Engine) follow(ctx context.Context) {
	wait := e.cfg.Interval
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := e.Reload(ctx) // logged and counted, and in Status
		if wait = e.cfg.Interval; err == nil && e.remote.Holds() {
			wait = min(wait, time.Second)
		}
	}
}

// turn looks at the sources once. The policy comes before the candidate.
func (e *Engine) turn(ctx context.Context, active, candidate *settled) {
	var first []*settled
	if e.remote == nil {
		first = append(first, active)
		if active.changed() && (!e.same(active) || !e.take(ctx, e.Reload, active)) {
			return
		}
	}
	if e.shadow != nil && candidate.changed() && e.same(candidate) {
		e.take(ctx, e.ReloadShadow, candidate, first...)
	}
}

// take has what a source holds checked and taken, and reports whether it was not given up:
// once that source, or one that comes first, holds something else, which may withdraw what
// somebody must not have any more. The next one of the same source is waited for, so that one
// that changes all the time is taken as well.
func (e *Engine) take(ctx context.Context, reload func(context.Context) error, s *settled, first ...*settled) bool {
	at := e.cfg.Now()
	ctx, giveUp := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer giveUp()
	if !s.givenUp {
		first = append(first, s)
	}
	for _, source := range first {
		was := *source
		if source == s {
			was.taken(at) // what it held before is a change as well
		}
		wg.Go(func() { e.overtake(ctx, giveUp, was) })
	}
	err := reload(ctx) // logged and counted, and in Status
	if s.givenUp = ctx.Err() != nil; !s.givenUp && !errors.Is(err, errChecks) {
		s.taken(at)
	}
	return !s.givenUp
}

// errOvertaken is of a check that was given up.
var errOvertaken = errors.New("the check was given up: what is there has changed since, and is taken next")

// Reread is Reload and ReloadShadow at once, without waiting for files to settle. What comes
// meanwhile does not wait for their checks: they are given up for it, as those of Watch.
func (e *Engine) Reread(ctx context.Context) (policy, shadow error) {
	active, candidate := settled{path: e.cfg.Dir}, settled{path: e.cfg.Shadow}
	if e.remote != nil {
		return e.Reload(ctx), e.retake(ctx, e.ReloadShadow, &candidate)
	}
	policy = e.retake(ctx, e.Reload, &active)
	return policy, e.retake(ctx, e.ReloadShadow, &candidate, &active)
}

// retake is take of what a source holds now.
func (e *Engine) retake(ctx context.Context, reload func(context.Context) error, s *settled, first ...*settled) (err error) {
	s.changed()
	e.same(s)
	e.take(ctx, func(ctx context.Context) error { err = reload(ctx); return err }, s, first...)
	if s.givenUp && ctx.Err() == nil {
		return errOvertaken
	}
	return err
}

// overtake gives a check up once a source has settled on something else than it held.
func (e *Engine) overtake(ctx context.Context, giveUp func(), s settled) {
	for was := s.seen; retry.Sleep(ctx, e.cfg.Poll); {
		if s.changed() && e.same(&s) && s.seen != was {
			giveUp()
			return
		}
	}
}

// settled is what a source held at the last look, and the stamp that its files had when
// it was last taken or refused: while they have the same, nothing is read.
type settled struct {
	path              string
	seen, stamp, done string
	newest            time.Time // when the newest of the files was changed
	givenUp           bool      // what was tried last
}

// settling is how long files are read at every look after a change: within one tick of the
// file system's clock, two versions of a file can look the same.
const settling = 2 * time.Second

// changed reports whether the files are others than those that have been taken.
func (s *settled) changed() bool {
	if s.path == "" {
		s.stamp, s.newest = "embedded", time.Time{}
	} else {
		s.stamp, s.newest = bundle.Stamp(s.path)
	}
	return s.stamp != s.done
}

// taken notes that the files have been taken, or refused, as they were at a time.
func (s *settled) taken(at time.Time) {
	if s.done = ""; at.Sub(s.newest) > settling {
		s.done = s.stamp
	}
}

// at reports whether the source held the same at the look before.
func (s *settled) at(digest string) bool {
	same := digest == s.seen
	s.seen = digest
	return same
}

// same looks at a source, and reports whether it held the same at the look before.
func (e *Engine) same(s *settled) bool { return s.at(e.look(e.peek(s.path))) }

// look is the digest of what a source holds, or what is wrong with it.
func (e *Engine) look(team *bundle.Bundle, err error) string {
	if err != nil {
		return err.Error()
	}
	return bundle.Digest(e.core, team)
}
