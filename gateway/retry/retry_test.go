package retry_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/retry"
)

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !retry.Sleep(t.Context(), time.Minute) || time.Since(start) != time.Minute {
			t.Errorf("slept %s, want a minute", time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if retry.Sleep(ctx, time.Minute) {
			t.Error("a sleep that its context ended counts as a whole one")
		}
		if slept := time.Since(start); slept != 61*time.Second {
			t.Errorf("slept %s, want 61s", slept)
		}
	})
}

func TestDurationsStayInTheirBounds(t *testing.T) {
	for range 1000 {
		if d := retry.Jitter(100, 10); d < 90 || d > 100 {
			t.Fatalf("a tenth off 100 is %d", d)
		}
		for failures, want := range map[int]time.Duration{1: 10, 2: 20, 3: 40, 4: 70, 100: 70} {
			if d := retry.Backoff(failures, 10, 70); d < want/2 || d > want {
				t.Fatalf("after %d failures: %d, want %d to %d", failures, d, want/2, want)
			}
		}
	}
	for _, d := range []time.Duration{0, -1, math.MinInt64} {
		if got := retry.Jitter(d, 10); got != d {
			t.Errorf("a tenth off %d is %d", d, got)
		}
	}
}
