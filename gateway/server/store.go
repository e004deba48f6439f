package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/budget"
	"portcullis/gateway/changes"
	"portcullis/gateway/config"
	"portcullis/gateway/limit"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/store/redis"
	"portcullis/gateway/vaultapi"
)

// This file gives each part the shared store, where there is one.

func (g *Server) openStore() (err error) {
	c := g.cfg
	if c.RedisURL == "" {
		return nil
	}
	g.store, err = redis.Open(redisConfig(c, g.logs.Server))
	return err
}

func redisConfig(c config.Config, log *slog.Logger) redis.Config {
	return redis.Config{URL: c.RedisURL, Prefix: c.RedisPrefix, CA: c.RedisCA, Cert: c.RedisCert, Key: c.RedisKey, Log: log}
}

func (g *Server) runStore(ctx context.Context) {
	if g.store != nil {
		var wg sync.WaitGroup
		wg.Go(func() { g.store.Run(ctx) })
		wg.Go(func() { g.shared.Run(ctx, g.events) })
		wg.Go(func() { g.places.Run(ctx) })
		wg.Go(func() { g.policy.Tell(ctx) })
		wg.Go(func() {
			g.mcpSessions.Run(ctx, func(name string) { g.mcp.Changed(ctx, name) }, func() { g.mcp.Missed(ctx) })
		})
		wg.Go(func() { g.notices.Run(ctx, nil, func(m []byte) []byte { return g.mcp.Answer(ctx, m) }) })
		wg.Wait()
		_ = g.store.Close() // nothing is under way
	}
}

// limitConfig has the limits of this process, or of all replicas.
func (g *Server) limitConfig() limit.Config {
	c := limit.Config{Tier: g.policy.Tier, Enabled: g.cfg.RateEnabled, Budgets: g.budgets}
	if g.store != nil {
		g.places = g.store.NewPlaces()
		c.Shared, c.Places, c.Enter = g.store.Spend, g.places.Take, g.places.Enter
	}
	return c
}

// sharedSessions are nil for those of this process.
func (g *Server) sharedSessions() *mcp.Shared {
	if g.store == nil {
		return nil
	}
	most, size, idle := mcp.SharedBounds()
	self := rand.Text()
	all := g.budgets.Limit(budget.Sessions).All
	g.mcpSessions = g.store.NewKept("mcp", self, redis.Bound{Most: most, Bytes: size, Idle: idle, All: int(all)})
	g.notices = g.store.NewQuestions("mcp", self)
	return &mcp.Shared{
		Self: self, Use: g.mcpSessions.Use, Drop: g.mcpSessions.Drop, Key: g.store.NewKey("mcp"), Ask: g.notices.Ask,
		Swap: func(ctx context.Context, owner, name string, was, data []byte) (bool, error) {
			done, err := g.mcpSessions.Swap(ctx, owner, name, was, data)
			return done, everybodys(err)
		},
	}
}

// everybodys says that everybody's share of sessions is used up, where that is why.
func everybodys(err error) error {
	if errors.Is(err, redis.ErrFull) {
		return budget.Exhausted(budget.Sessions, budget.Everybody)
	}
	return err
}

// sharedReadings let one replica look for changes on behalf of all; nil for one gateway.
func (g *Server) sharedReadings() *changes.Shared {
	if g.store == nil {
		return nil
	}
	readings := g.store.NewReadings("look")
	return &changes.Shared{
		Read: func(ctx context.Context, name string, fresh time.Duration, read func() ([]byte, error)) ([]byte, time.Duration, []byte, error) {
			got, err := readings.Read(ctx, name, fresh, read)
			if errors.Is(err, redis.ErrElsewhere) {
				err = changes.ErrElsewhere
			}
			return got.Data, got.Age, got.Noted, err
		},
		Note: func(ctx context.Context, name string, data []byte, long time.Duration) {
			_ = readings.Note(ctx, name, data, long) // the next look notes it again
		},
	}
}

// sharedTokens are nil for those of this process.
func (g *Server) sharedTokens() *vaultapi.Shared {
	if g.store == nil {
		return nil
	}
	l := g.budgets.Limit(budget.Sessions)
	if l.Caller == 0 {
		l.Caller = budget.Defaults()[budget.Sessions].Caller
	}
	tokens := g.store.NewTokens("vaultapi", int(l.Caller), int(l.All))
	return &vaultapi.Shared{
		Get: tokens.Get, Replace: tokens.Replace, Drop: tokens.Drop,
		Put: func(ctx context.Context, owner, name string, data []byte, left time.Duration) (bool, error) {
			done, err := tokens.Put(ctx, owner, name, data, left)
			return done, everybodys(err)
		},
	}
}

// sharing lets replicas know each other's DPoP proofs and bad credentials.
func (g *Server) sharing(c auth.Config) auth.Config {
	if g.store == nil {
		return c
	}
	c.ProofSeen = g.store.Seen
	c.CountFailure = func(host string, most int, every time.Duration) (time.Duration, error) {
		level, err := g.store.Spend(limit.Key{Caller: host, Tier: "bad credentials"}, limit.Charge{Cost: 1, Burst: most, Interval: every}, time.Time{})
		return level.Full, err
	}
	return c
}

// storePart reports the shared store. Without it calls are served, within bounds: another
// replica could do no better.
func (g *Server) storePart() obs.Part {
	if err := g.store.Health(); err != nil {
		return obs.Part{OK: true, Detail: "degraded: " + err.Error() + "; limits hold for this gateway alone, and tiers that say so refuse calls"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}
