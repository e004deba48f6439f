package redis

import (
	"context"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/retry"
)

// buffered is how many received messages wait here to be handled. More wait in Redis, which
// ends the connection of a replica that lets too many wait.
const buffered = 256

// Channel carries short messages from each replica to all that are there now, itself included.
// One that is not there misses them, and learns that it may have.
type Channel struct {
	store  *Store
	name   string
	warned atomic.Bool // that nothing is received
}

// NewChannel makes the channel of a name.
func (s *Store) NewChannel(name string) *Channel {
	return &Channel{store: s, name: s.prefix + "words:" + name}
}

// Publish sends a message.
func (c *Channel) Publish(ctx context.Context, message []byte) error {
	return c.store.do(ctx, func(ctx context.Context) error {
		return c.store.client.Publish(ctx, c.name, message).Err()
	})
}

// Run calls receive with each message, one after another, until ctx ends. It calls missed,
// which may be nil, whenever messages are received from now on and may have been missed before.
func (c *Channel) Run(ctx context.Context, missed func(), receive func([]byte)) {
	if missed == nil {
		missed = func() {}
	}
	for ctx.Err() == nil {
		c.listen(ctx, missed, receive)
		retry.Sleep(ctx, retry.Jitter(lookEvery, 2))
	}
}

// listen reads until the connection ends. The library makes it anew by itself, and says so.
func (c *Channel) listen(ctx context.Context, missed func(), receive func([]byte)) {
	if c.store.away.Load() != nil {
		return
	}
	sub := c.store.client.Subscribe(ctx, c.name)
	defer func() { _ = sub.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()
	if _, err := sub.Receive(ctx); err != nil {
		if ctx.Err() == nil {
			c.refused(err)
		}
		return
	}
	missed()
	for m := range sub.ChannelWithSubscriptions(goredis.WithChannelSize(buffered)) {
		switch m := m.(type) {
		case *goredis.Subscription:
			missed()
		case *goredis.Message:
			receive([]byte(m.Payload))
		}
	}
}

// refused says once why messages cannot be had while everything else can.
func (c *Channel) refused(err error) {
	if c.warned.CompareAndSwap(false, true) {
		c.store.log.Warn("the shared store does not let the gateway hear the other replicas: open streams and running requests of MCP sessions are not reached from them; its user needs the channels of REDIS_PREFIX (ACL: &PREFIX:*)", "cause", err)
	}
}
