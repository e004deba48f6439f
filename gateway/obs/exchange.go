package obs

import (
	"context"
	"sync/atomic"
)

// exchangeKey is the key of the mark that a request carries.
type exchangeKey struct{}

// Exchange is an HTTP request as the logs know it: whether a call that it led to has a
// record of its own.
type Exchange struct{ recorded atomic.Bool }

// Recorded reports whether a call of the request is in the log.
func (e *Exchange) Recorded() bool { return e.recorded.Load() }

// WithExchange marks a request. The records of its calls note themselves there.
func WithExchange(ctx context.Context) (context.Context, *Exchange) {
	e := new(Exchange)
	return context.WithValue(ctx, exchangeKey{}, e), e
}

// recorded notes that a call is in the log.
func recorded(ctx context.Context) {
	if e, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		e.recorded.Store(true)
	}
}
