package e2e

import (
	"context"
	"testing"
	"time"

	"portcullis/gateway/retry"
)

// Eventually waits until something holds that must come true, and fails the test when it
// has not within a minute.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for !holds() {
		if !retry.Sleep(ctx, 10*time.Millisecond) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
