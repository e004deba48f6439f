package redis

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/call/sealed"
)

// readingLease is how long a replica may take to read what it does for all. After that
// another one may.
const readingLease = 10 * time.Second

// mostReading bounds what is kept of one reading, in bytes. A larger one is each replica's own.
const mostReading = 256 << 10

// ErrElsewhere says that another replica reads something at the moment.
var ErrElsewhere = errors.New("another replica reads it now")

// takeReadingSource returns what was read and for how many milliseconds it is good, or takes
// the lease of reading it, if nobody has it. Last comes what was noted.
const takeReadingSource = `
local read, noted = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[3]) or ''
if read then return {read, redis.call('PTTL', KEYS[1]), noted} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'', 1, noted} end
return {'', 0, noted}`

// keepReadingSource keeps what was read, if whoever has read it has the lease still. An empty
// one gives the lease back.
const keepReadingSource = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`

// Readings are what one replica reads for all: the one that comes first after a reading has
// aged has a lease of reading anew. The token of the lease is another each time, and what is
// read by an ended one is nobody else's. Names and readings are sealed by the names.
type Readings struct {
	store      *Store
	kind       string
	take, keep *goredis.Script
}

// NewReadings makes those of a kind.
func (s *Store) NewReadings(kind string) *Readings {
	return &Readings{s, kind, goredis.NewScript(takeReadingSource), goredis.NewScript(keepReadingSource)}
}

// Reading is what was read of a name.
type Reading struct {
	Data  []byte
	Age   time.Duration // since it began
	Noted []byte        // what Note has noted last, nil for nothing
}

// Read returns what a replica has read of a name; fresh is how old that may be. If there is
// nothing of that age it is read here and kept. The error is that of read, or ErrElsewhere, with
// what was noted. While Redis is away each replica reads for itself.
func (r *Readings) Read(ctx context.Context, name string, fresh time.Duration, read func() ([]byte, error)) (got Reading, err error) {
	box, token := sealed.By(r.kind, name), rand.Text()
	keys := r.keys(box)
	var found, noted string
	var left int64
	err = r.store.do(ctx, func(ctx context.Context) error {
		reply, err := r.take.Run(ctx, r.store.client, keys, token, readingLease.Milliseconds()).Slice()
		if err == nil && len(reply) == 3 {
			found, _ = reply[0].(string)
			left, _ = reply[1].(int64)
			noted, _ = reply[2].(string)
		}
		return err
	})
	if !box.Open([]byte(noted), &got.Noted) {
		got.Noted = nil
	}
	var kept []byte
	switch {
	case err == nil && found != "" && box.Open([]byte(found), &kept) && len(kept) >= 8:
		took := time.Duration(binary.BigEndian.Uint64(kept)) //nolint:gosec // written below
		got.Data, got.Age = kept[8:], fresh-time.Duration(left)*time.Millisecond+took
		return got, nil
	case err == nil && found == "" && left == 0:
		return got, ErrElsewhere
	}
	start := time.Now()
	var rerr error
	got.Data, rerr = read()
	got.Age = time.Since(start)
	if err == nil && found == "" {
		r.done(ctx, token, box, fresh, got)
	}
	return got, rerr
}

// keys are those of a name: what was read, the lease of reading, what was noted.
func (r *Readings) keys(box sealed.Box) []string {
	at := r.store.key(r.kind, box.Name)
	return []string{at + ":read", at + ":lease", at + ":noted"}
}

// Note keeps, for a while, what a replica that knows nothing of a name begins with.
func (r *Readings) Note(ctx context.Context, name string, data []byte, long time.Duration) error {
	if len(data) > mostReading {
		return nil
	}
	box := sealed.By(r.kind, name)
	return r.store.do(ctx, func(ctx context.Context) error {
		return r.store.client.Set(ctx, r.keys(box)[2], box.Seal(data), long).Err()
	})
}

// done keeps what was read, or gives the lease back when that is nothing. What Redis does not
// take, another replica reads when the lease has ended.
func (r *Readings) done(ctx context.Context, token string, box sealed.Box, fresh time.Duration, got Reading) {
	var text []byte
	if got.Data != nil && len(got.Data) <= mostReading {
		text = box.Seal(append(binary.BigEndian.AppendUint64(nil, uint64(got.Age)), got.Data...)) //nolint:gosec // not negative
	}
	_ = r.store.do(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return r.keep.Run(ctx, r.store.client, r.keys(box), token, text, max(fresh.Milliseconds(), 1)).Err()
	})
}
