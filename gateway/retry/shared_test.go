package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/retry"
)

// Who gives up ends its own wait; the call goes on for the others, until its own timeout.
func TestASharedCallBelongsToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, giveUp := context.WithCancel(t.Context())
		s := retry.Share(first, time.Minute, func(ctx context.Context) (string, error) {
			return "answer", errors.Join(ctx.Err(), wait(ctx, 10*time.Second))
		})
		giveUp()
		if got, err := s.Wait(first); got != "" || !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %q, %v", got, err)
		}
		for range 2 {
			if got, err := s.Wait(t.Context()); got != "answer" || err != nil {
				t.Errorf("who waited got %q, %v", got, err)
			}
		}
		late := retry.Share(t.Context(), time.Second, func(ctx context.Context) (int, error) { return 0, wait(ctx, time.Hour) })
		if _, err := late.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the timeout: %v", err)
		}
	})
}

func wait(ctx context.Context, d time.Duration) error {
	if !retry.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// A call that panics fails for all who wait, and takes nobody else with it.
func TestASharedCallThatPanicsFails(t *testing.T) {
	s := retry.Share(t.Context(), time.Minute, func(context.Context) (int, error) { panic("a secret") })
	if _, err := s.Wait(t.Context()); err == nil || err.Error() != "panic of type string" {
		t.Errorf("got %v", err)
	}
}
