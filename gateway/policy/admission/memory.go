package admission

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"time"
)

// What a check may add to the heap, and how often that is measured. Rules are only
// stopped by time, and a few that multiply a text can fill any memory before that.
const (
	maxGrowth    = 512 << 20
	measureEvery = 5 * time.Millisecond
)

var errMemory = errors.New("the policy takes too much memory")

// withHeapLimit returns a context that ends with errMemory when the heap has grown by more
// than the limit.
func withHeapLimit(ctx context.Context, limit uint64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	allowed := heap() + limit
	go func() {
		look := time.NewTicker(measureEvery)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
				if exceeds(allowed, limit) {
					cancel(errMemory)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// exceeds reports whether more is in use than is allowed. Many rules and tests leave a lot
// of garbage, which is collected first, unless there is twice the limit already: rules that
// multiply a text are not waited for.
func exceeds(allowed, limit uint64) bool {
	now := heap()
	if now <= allowed || now > allowed+limit {
		return now > allowed
	}
	runtime.GC()
	return heap() > allowed
}

// heap is what is allocated, garbage included.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
