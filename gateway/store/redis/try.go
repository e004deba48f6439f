package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// Try does once each thing that the gateway has to do, with keys and a channel of its own
// that end at once. Its error is what Redis says against it.
func (s *Store) Try(ctx context.Context) error {
	name := "try " + rand.Text()
	k := s.NewKept("try", name, Bound{Most: 1, Bytes: 64, Idle: time.Second})
	for _, step := range []func() error{
		func() error { return s.client.Ping(ctx).Err() },
		func() error { _, err := s.Count(ctx, "tries", 1); return err },
		func() error { _, err := s.Seen(name, time.Now().Add(time.Second)); return err }, //nolint:contextcheck // Seen bounds itself: it answers for a credential, whoever leaves meanwhile
		func() error { _, err := k.Swap(ctx, name, name, nil, []byte("x")); return err },
		func() error { return k.Drop(ctx, name, name) },
		func() error { return s.NewChannel("try").Publish(ctx, nil) },
		func() error { return s.subscribes(ctx) },
	} {
		if err := step(); err != nil {
			if a := s.away.Load(); a != nil {
				err = a.cause
			}
			return errors.New(err.Error()) // what it says is for the operator
		}
	}
	return nil
}

// subscribes reports whether the user may subscribe to a channel.
func (s *Store) subscribes(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	sub := s.client.Subscribe(within, s.NewChannel("try").name)
	_, err := sub.Receive(within)
	return errors.Join(err, sub.Close())
}
