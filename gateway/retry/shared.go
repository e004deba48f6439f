package retry

import (
	"context"
	"fmt"
	"time"
)

// Shared is a call whose result several goroutines wait for. None of them owns it: one
// that gives up ends its own wait and nothing else.
type Shared[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// Share starts a call, which ends after the timeout at the latest and keeps the values of
// ctx, not its cancellation. What do has done before it returns is visible to all waiters.
// A panic in do is an error, whose text names the type of its value alone: who waits is
// not who made it.
func Share[T any](ctx context.Context, timeout time.Duration, do func(context.Context) (T, error)) *Shared[T] {
	s := &Shared[T]{done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	go func() {
		defer cancel()
		defer close(s.done)
		defer func() {
			if v := recover(); v != nil {
				s.err = fmt.Errorf("panic of type %T", v)
			}
		}()
		s.value, s.err = do(ctx)
	}()
	return s
}

// Wait returns what came of the call, or the error of ctx when that ends first.
func (s *Shared[T]) Wait(ctx context.Context) (T, error) {
	select {
	case <-s.done:
		return s.value, s.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}
