package gate

import (
	"context"
	"sync"
	"time"
)

// Turn is the place of one request at a gate. The request takes it when there is work to
// do, and gives it back while it waits for somebody else: a gate of turns bounds who
// works, not who waits. The nil *Turn, and one without a gate, let everybody through.
type Turn struct {
	Gate *Gate  // set before the first use
	Key  string // whose request it is; set before the first use

	mu     sync.Mutex // guards the fields below
	inside bool
	since  time.Time // inside
	ended  bool
}

// Enter takes the turn, unless the request has it. The error is that of Gate.Enter.
func (t *Turn) Enter(ctx context.Context) error {
	if t == nil || t.Gate == nil || !t.wants() {
		return nil
	}
	if err := t.Gate.Enter(ctx, t.Key); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside || t.ended { // meanwhile
		t.Gate.Leave(t.Key)
		return nil
	}
	t.inside, t.since = true, time.Now()
	return nil
}

func (t *Turn) wants() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.inside && !t.ended
}

// Leave gives the turn back, and reports whether the request had it.
func (t *Turn) Leave() bool { return t.leave(false) }

// End gives the turn back for good.
func (t *Turn) End() { t.leave(true) }

func (t *Turn) leave(end bool) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	had := t.inside
	t.inside, t.ended = false, t.ended || end
	if had {
		t.Gate.LeaveLarge(t.Key, time.Since(t.since))
	}
	return had
}

type turnKey struct{}

// With gives a request its turn. The work of the request finds it with Of.
func With(ctx context.Context, t *Turn) context.Context { return context.WithValue(ctx, turnKey{}, t) }

// Of is the turn of a request, nil where it has none.
func Of(ctx context.Context) *Turn {
	t, _ := ctx.Value(turnKey{}).(*Turn)
	return t
}

// Away gives the turn of a request back, if it has it, until back is called. To come back
// is never refused: what was waited for may have changed something, and is finished.
func Away(ctx context.Context) (back func()) {
	t := Of(ctx)
	if !t.Leave() {
		return func() {}
	}
	return func() { _ = t.Enter(ctx) }
}
