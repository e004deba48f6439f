package redis_test

import (
	"errors"
	"testing"
	"time"

	"portcullis/gateway/limit"
	"portcullis/gateway/store/redis"
)

// TestAPoisonedKeyIsOneCallersTrouble: what somebody has put under one key makes what needs
// it fail, and not the store be away for everybody.
func TestAPoisonedKeyIsOneCallersTrouble(t *testing.T) {
	r := server(t)
	s, c := open(t, r.URL()), client(t, r)
	charge := limit.Charge{Cost: 1, Burst: 10, Interval: time.Hour}
	bad, good := limit.Key{Caller: "bad", Tier: "x"}, limit.Key{Caller: "good", Tier: "x"}
	for name, poison := range map[string]func(key string) error{
		"another type": func(key string) error { return c.LPush(t.Context(), key, "x").Err() },
		"no number":    func(key string) error { return c.Set(t.Context(), key, "x", 0).Err() },
		"not a number": func(key string) error { return c.Set(t.Context(), key, "nan", 0).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			spend(t, s.Spend, bad, charge)
			keys, err := c.Keys(t.Context(), "test:v1:rate:*").Result()
			if err != nil || len(keys) != 1 {
				t.Fatalf("keys %q, %v", keys, err)
			}
			if err := errors.Join(c.Del(t.Context(), keys[0]).Err(), poison(keys[0])); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Spend(bad, charge, time.Now()); !errors.Is(err, redis.ErrAway) {
				t.Errorf("with what is no bucket: got %v", err)
			}
			if err := s.Health(); err != nil {
				t.Errorf("the store is away: %v", err)
			}
			spend(t, s.Spend, good, charge)
		})
	}
}
