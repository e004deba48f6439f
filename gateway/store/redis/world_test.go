package redis_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/store/redis"
)

// wait is how long a test waits for what will come.
const wait = 30 * time.Second

// server starts a Redis that ends with the test.
func server(t testing.TB, args ...string) *stack.Redis {
	t.Helper()
	r, err := stack.StartRedis(context.WithoutCancel(t.Context()), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// open connects a replica to a Redis, which it leaves with the test.
func open(t testing.TB, url string) *redis.Store {
	t.Helper()
	s, err := redis.Open(redis.Config{URL: call.Secret(url), Prefix: "test"})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	return s
}

// run does background work until the test ends.
func run(t testing.TB, f func(context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// client looks into a Redis as it is.
func client(t testing.TB, r *stack.Redis) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
