package tokencache

import (
	"time"

	"portcullis/gateway/retry"
)

// The wait after a failure grows from the first to the last.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
)

// backoff is how long a failure is remembered. The zero backoff is over.
type backoff struct {
	err   error
	next  time.Duration
	until time.Time
}

func (b *backoff) over() bool { return !time.Now().Before(b.until) }

func (b *backoff) fail(err error) {
	b.next = min(max(2*b.next, firstWait), lastWait)
	b.err, b.until = err, time.Now().Add(retry.Jitter(b.next, 10))
}
