package redis

import (
	"context"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/retry"
)

// heard is how many messages of others wait here to be read; more are lost.
const heard = 256

// Words are short messages from each replica to all that are there now, itself included.
// One that is not there, or reads too slowly, misses them.
type Words struct {
	store   *Store
	channel string
	told    atomic.Bool // why nothing is heard
}

// NewWords makes the channel of a name.
func (s *Store) NewWords(name string) *Words {
	return &Words{store: s, channel: s.prefix + "words:" + name}
}

// Say sends a message.
func (w *Words) Say(ctx context.Context, message []byte) error {
	return w.store.do(ctx, func(ctx context.Context) error {
		return w.store.client.Publish(ctx, w.channel, message).Err()
	})
}

// Run hands messages to hear, one after another, until ctx ends.
func (w *Words) Run(ctx context.Context, hear func([]byte)) {
	for ctx.Err() == nil {
		w.listen(ctx, hear)
		retry.Sleep(ctx, retry.Jitter(lookEvery, 2))
	}
}

// listen reads until the connection ends.
func (w *Words) listen(ctx context.Context, hear func([]byte)) {
	if w.store.away.Load() != nil {
		return
	}
	sub := w.store.client.Subscribe(ctx, w.channel)
	defer func() { _ = sub.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()
	if _, err := sub.Receive(ctx); err != nil {
		if ctx.Err() == nil {
			w.refused(err)
		}
		return
	}
	for m := range sub.Channel(goredis.WithChannelSize(heard), goredis.WithChannelSendTimeout(Timeout)) {
		hear([]byte(m.Payload))
	}
}

// refused says once why messages cannot be had while everything else can.
func (w *Words) refused(err error) {
	if w.told.CompareAndSwap(false, true) {
		w.store.log.Warn("the shared store does not let the gateway hear the other replicas: open streams and running requests of MCP sessions are not reached from them; its user needs the channels of REDIS_PREFIX (ACL: &PREFIX:*)", "cause", err)
	}
}
