package events_test

import (
	"fmt"
	"testing"

	"portcullis/gateway/events"
)

// BenchmarkPublish is what a publisher pays beside 5,000 readers, of whom ten are
// reached, and then beside readers that never read as well.
func BenchmarkPublish(b *testing.B) {
	for _, dead := range []int{0, 500} {
		b.Run(fmt.Sprintf("dead=%d", dead), func(b *testing.B) {
			l := events.New(events.Config{Allow: yes})
			for i := range 5000 {
				r := open(b, l, caller("x"), events.Filter{Topics: []events.Topic{{Mount: "secret", Path: path(fmt.Sprint("a/", i/10))}}}, "")
				if i < 10 {
					go drain(b, r)
				}
			}
			for range dead {
				open(b, l, caller("y"), below("a/0"), "")
			}
			for b.Loop() {
				l.Publish(change("a/0"))
			}
			l.Close()
		})
	}
}

func drain(b *testing.B, r *events.Reader) {
	for {
		if _, _, err := r.Next(b.Context(), 1<<40); err != nil {
			return
		}
	}
}
