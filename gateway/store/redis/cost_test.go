package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/events"
	"portcullis/gateway/limit"
	"portcullis/gateway/retry"
	"portcullis/gateway/store/redis"
)

// BenchmarkCost measures what operations cost Redis itself: the processor time of its process,
// which other work on the machine changes little. The capacity page has its figures.
func BenchmarkCost(b *testing.B) {
	r := server(b)
	s, c := open(b, r.URL()), client(b, r)
	places := s.NewPlaces()
	run(b, places.Run)
	copies, line := s.NewCopies("decisions", time.Hour), make([]byte, 1600)
	read := func(log *redis.Events) { // by one replica more
		run(b, func(ctx context.Context) { log.Run(ctx, events.New(events.Config{Send: log.Send})) })
	}
	log := s.NewEvents()
	send := func(int) error {
		<-log.Send(events.Event{Kind: events.ResourceChanged, Op: "kv.write", Source: events.FromGateway})
		return nil
	}
	change := func(i int) error {
		defer retry.Sleep(b.Context(), 10*time.Millisecond) // until all have read it
		return send(i)
	}
	read(log)
	charge := limit.Charge{Cost: 1, Burst: 1e9, Interval: time.Microsecond}
	for _, op := range []struct {
		name         string
		each, atOnce int // things that one step does, and steps
		step         func(i int) error
	}{
		{"bucket", 1, 16, func(i int) error {
			_, err := s.Spend(limit.Key{Caller: strconv.Itoa(i % 1000)}, charge, time.Time{})
			return err
		}},
		{"bucket and place", 1, 16, func(i int) error {
			_, release, err := places.Enter(limit.Key{Caller: strconv.Itoa(i % 1000)}, charge, "calls", 1000)
			if err == nil {
				release()
			}
			return err
		}},
		{"decision", 30, 1, func(i int) error {
			put, gone := map[string][]byte{}, []string{}
			for j := range 30 {
				put[fmt.Sprint(i, j)], gone = line, append(gone, fmt.Sprint(i-100, j))
			}
			return copies.Write(b.Context(), put, gone)
		}},
		{"change", 1, 1, send},
		{"change read by 1", 1, 1, change}, // the difference to 11 is what 10 readers cost
		{"change read by 11", 1, 1, func(i int) error {
			if i == 0 {
				for range 10 {
					read(open(b, r.URL()).NewEvents())
				}
			}
			return change(i)
		}},
	} {
		b.Run(op.name, func(b *testing.B) {
			before, n := processor(b, c), 0
			for b.Loop() {
				many(b, op.atOnce, n, op.step)
				n += op.atOnce
			}
			b.ReportMetric(float64((processor(b, c)-before).Nanoseconds())/1e3/float64(n*op.each), "redis-us/op")
		})
	}
}

// many takes so many steps at once.
func many(b *testing.B, n, from int, step func(int) error) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := step(from + i); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

// processor is the processor time that Redis has used.
func processor(b *testing.B, c *goredis.Client) (used time.Duration) {
	b.Helper()
	info, err := c.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			used += time.Duration(seconds * 1e9)
		}
	}
	return used
}
