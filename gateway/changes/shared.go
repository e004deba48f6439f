package changes

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"portcullis/gateway/events"
)

// ErrElsewhere says that another replica reads a topic at the moment.
var ErrElsewhere = errors.New("another replica reads it now")

// Shared lets one replica read for all, and another go on where it has ended. Names are of
// topics.
type Shared struct {
	// Read returns what a replica has read no longer than fresh ago, and how long ago that
	// began, or calls read; beside it what Note has noted, nil for nothing. Its error is that of
	// read, or ErrElsewhere.
	Read func(ctx context.Context, name string, fresh time.Duration, read func() ([]byte, error)) (data []byte, age time.Duration, noted []byte, err error)
	// Note keeps what was read for a while, after all changes up to it were told. A replica that
	// knows nothing of a topic compares with it.
	Note func(ctx context.Context, name string, data []byte, long time.Duration)
}

// notedFor is how long what is noted outlives the round that has noted it: until another
// replica has the subscriptions of one that was killed.
const notedFor = 20 * time.Second

// errOlder says that what another replica has read is older than what is known here.
var errOlder = errors.New("it was read before")

// later reports whether an error says that the next round is early enough.
func later(err error) bool { return errors.Is(err, ErrElsewhere) || errors.Is(err, errOlder) }

// readOnce reads a topic, once for all replicas, and returns when that began. A first look is
// not put off: what is changed from then on is reported. It begins with what was noted.
func readOnce[T any](ctx context.Context, r *round, t events.Topic, read func() (T, error), begin func(T)) (value T, at time.Time, err error) {
	at = time.Now()
	known, last := r.reading(t)
	if r.Shared == nil {
		value, err = read()
		return value, at, err
	}
	raw, age, noted, err := r.Shared.Read(ctx, nameOf(t), r.fresh, func() ([]byte, error) {
		v, err := read()
		if err != nil {
			return nil, err
		}
		return json.Marshal(v)
	})
	var was T
	if !known && noted != nil && json.Unmarshal(noted, &was) == nil {
		begin(was)
	}
	switch {
	case errors.Is(err, ErrElsewhere) && !known:
		value, err = read()
		return value, at, err
	case err != nil:
		return value, at, err
	}
	if at = time.Now().Add(-age); known && !at.After(last) {
		return value, at, errOlder
	}
	return value, at, json.Unmarshal(raw, &value)
}

// note notes what was read of a topic.
func note[T any](ctx context.Context, r *round, t events.Topic, value T) {
	if r.Shared == nil {
		return
	}
	raw, err := json.Marshal(value)
	if err == nil {
		r.Shared.Note(ctx, nameOf(t), raw, 2*r.fresh+notedFor)
	}
}

// nameOf is a topic as one text.
func nameOf(t events.Topic) string {
	name, _ := json.Marshal([]any{t.Mount, t.Path.String(), t.Below}) // texts
	return string(name)
}

// reading says whether a topic has a baseline, and when that was read.
func (p *Poller) reading(t events.Topic) (known bool, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.baselines[t]
	if b == nil {
		return false, at
	}
	return b.known, b.at
}
