package program

import (
	"context"
	"testing"
	"time"
)

// run lets a budget see so many steps and reports whether it is used up.
func (b *budget) run(steps int) bool {
	for range steps {
		if b.Cancelled() {
			return true
		}
	}
	return false
}

// The clock goes on while a busy machine runs something else; that alone must not
// end an evaluation, and an evaluation that works for as long must end.
func TestBudget(t *testing.T) {
	now, hour := time.Now(), time.Hour
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx         context.Context
		until, last time.Time
		steps       int
		want        bool
	}{
		"in time":              {t.Context(), now.Add(hour), now.Add(hour), 10 * fewSteps, false},
		"late after few steps": {t.Context(), now.Add(-hour), now.Add(hour), fewSteps, false},
		"late after many":      {t.Context(), now.Add(-hour), now.Add(hour), fewSteps + everySteps, true},
		"much too late":        {t.Context(), now.Add(-hour), now.Add(-hour), everySteps, true},
		"the caller has left":  {gone, now.Add(hour), now.Add(hour), everySteps, true},
	} {
		b := &budget{ctx: c.ctx, until: c.until, last: c.last}
		if got := b.run(c.steps); got != c.want {
			t.Errorf("%s: over %v, want %v", name, got, c.want)
		}
	}
}
