package redis_test

import (
	"context"
	"fmt"
	"testing"

	"portcullis/gateway/events"
)

// TestWhatIsSentIsThere: who waits for an event to be sent finds it in Redis, so the end of
// its replica loses nothing; without Redis nobody waits.
func TestWhatIsSentIsThere(t *testing.T) {
	r := server(t)
	join(t, r)
	s := open(t, r.URL())
	shared := s.NewEvents()
	run(t, func(ctx context.Context) { shared.Run(ctx, events.New(events.Config{Send: shared.Send})) })
	c := client(t, r)
	for i := range 200 {
		before := c.XLen(t.Context(), "test:v1:events:{log}:stream").Val()
		<-shared.Send(events.Event{Kind: events.ResourceChanged, Mount: "secret", Subject: fmt.Sprint(i)})
		if n := c.XLen(t.Context(), "test:v1:events:{log}:stream").Val(); n != before+1 {
			t.Fatalf("event %d: %d in Redis after %d", i, n, before)
		}
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 10 { // found away by whichever is the first
		if sent := shared.Send(events.Event{Kind: events.ResourceChanged, Mount: "secret"}); sent != nil {
			<-sent
		}
	}
}
