package admission

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"portcullis/gateway/policy/program"
	"portcullis/gateway/retry"
)

// MaxTime is how long a policy may be compiled and checked.
const MaxTime = 2 * time.Minute

// Work is work on a policy that is not waited for without end.
type Work struct {
	Place string        // of the policy, for messages
	For   time.Duration // MaxTime when it is 0
	now   atomic.Pointer[string]
}

// Now says what is being done, as in "to run its tests".
func (w *Work) Now(what string) { w.now.Store(&what) }

// Within waits for work until its time is over, which is then the error, as a finding. To
// compile a rule may take hours, and nothing can end it: it is left to end by itself.
func Within[T any](ctx context.Context, w *Work, what string, do func(context.Context) (T, error)) (T, error) {
	limit := w.For
	if limit == 0 {
		limit = MaxTime
	}
	w.Now(what)
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := retry.Share(bounded, limit, func(context.Context) (T, error) { return do(bounded) }).Wait(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		err = program.Findings{{
			File: w.Place, Check: "time", Msg: fmt.Sprintf("it takes longer than %s %s", limit, *w.now.Load()),
			Cure: "nest rules and comprehensions less deeply, or let tests do less",
		}}
	}
	return v, err
}
