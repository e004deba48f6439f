package vault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"portcullis/gateway/budget/gate"
	"portcullis/gateway/vault/wire"
)

// What a large answer of Vault's may take.
const (
	tinyReply   = 2 << 10  // bytes up to which an answer is read into memory of its own
	smallReply  = 32 << 10 // bytes up to which an answer counts for nothing
	replyPiece  = 64 << 10 // bytes that are taken at a time of one that is larger
	replyCopies = 3        // how often it stands in memory: as it came, as data, as the caller's answer
	keepReply   = 2 << 20  // the largest buffer that is used again, bytes
	maxReply    = 32 << 20 // bytes that are read of one answer; Vault's own request limit is the same

	maxChanged = 1 << 20  // bytes that are read of the answer to a change, beside those that grow with what was sent
	growth     = 4        // how many bytes such an answer may have for each that was sent: an item of a batch comes back larger
	maxPublic  = 64 << 10 // bytes of what a node says to everybody
)

// longest is how many bytes are read of the answer to a request. Nobody can be refused for
// want of room once something was changed, so such an answer has to be about as long as
// what was sent.
func longest(r wire.Request) int {
	if r.ReadOnly() || r.Long {
		return maxReply
	}
	return min(maxReply, maxChanged+growth*len(r.Body))
}

// largeGate lets few large answers be read and encoded at once, and of one caller fewer:
// each is garbage of several times its size, and what one caller asks for is no reason
// to collect for all.
func largeGate() *gate.Gate {
	return &gate.Gate{Total: 16, Each: 4, Queue: 1024, Wait: 5 * time.Second}
}

// turn is the place of one session among the large answers, and the share of bytes that
// they come out of.
type turn struct {
	gate   *gate.Gate
	caller string
	take   func(bytes int64) error // nil bounds nothing
	inside bool
}

// more takes room for n further bytes of an answer. The first time it waits for a place.
func (t *turn) more(ctx context.Context, n int64) error {
	if !t.inside {
		if err := t.gate.Enter(ctx, t.caller); err != nil {
			return gate.Refused(err, "too many large answers at once; ask for fewer of them at a time")
		}
		t.inside = true
	}
	if t.take == nil {
		return nil
	}
	return t.take(replyCopies * n)
}

func (t *turn) leave() {
	if t.inside {
		t.inside = false
		t.gate.Leave(t.caller)
	}
}

// ownRoom is the room for large answers to what the gateway reads for itself: few of them
// are read at once. Whoever asked for the first piece gives it back with leave.
func (c *Client) ownRoom(key string) (room asking, leave func()) {
	t := &turn{gate: c.ownLarge, caller: key}
	return t.more, t.leave
}

// errTooLong says that an answer is longer than any that is read.
var errTooLong = errors.New("it is too long")

// buffers are used again: by large answers, and by what begins as one.
type buffers struct {
	pool   sync.Pool // of *[]byte
	begins sync.Pool // of *[smallReply]byte
}

// asking asks for room for so many bytes more (wire.Request.Room).
type asking func(ctx context.Context, bytes int64) error

// read reads a whole answer of at most so many bytes. It must not be used after done was
// called. The error is a *call.Error when there is no room, else errTooLong or that of reading.
func (b *buffers) read(ctx context.Context, from io.Reader, most int, room asking) (raw []byte, done func(), err error) {
	raw, err = io.ReadAll(io.LimitReader(from, tinyReply))
	if err != nil || len(raw) < tinyReply {
		return raw, func() {}, err
	}
	buf, raw, err := b.begin(raw, from)
	if buf == nil {
		return raw, func() {}, err
	}
	done = sync.OnceFunc(func() {
		if cap(*buf) <= keepReply {
			clear(*buf) // there are secrets in it
			b.pool.Put(buf)
		}
	})
	if err = fill(ctx, buf, from, most, room); err != nil {
		done()
		return nil, nil, err
	}
	return *buf, done, nil
}

// begin reads on until an answer is small no more, and then returns a buffer that it has
// begun. The whole of a smaller one is in memory of its own.
func (b *buffers) begin(tiny []byte, from io.Reader) (buf *[]byte, raw []byte, err error) {
	begin, ok := b.begins.Get().(*[smallReply]byte)
	if !ok {
		begin = new([smallReply]byte)
	}
	n := copy(begin[:], tiny)
	defer func() {
		clear(begin[:n]) // there are secrets in it
		b.begins.Put(begin)
	}()
	for n < smallReply {
		more, err := from.Read(begin[n:])
		n += more
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if err != nil && n < smallReply { // else fill hears of the end as well
			return nil, bytes.Clone(begin[:n]), nil
		}
	}
	if buf, ok = b.pool.Get().(*[]byte); !ok {
		buf = new([]byte)
	}
	*buf = append((*buf)[:0], begin[:]...)
	return buf, nil, nil
}

// fill appends the rest of an answer, of which room is taken before each piece.
func fill(ctx context.Context, buf *[]byte, from io.Reader, most int, room asking) error {
	if room == nil {
		room = func(context.Context, int64) error { return nil }
	}
	there := smallReply
	if err := room(ctx, smallReply); err != nil {
		return err
	}
	for {
		if len(*buf) == there {
			if err := room(ctx, replyPiece); err != nil {
				return err
			}
			there += replyPiece
		}
		if len(*buf) == cap(*buf) {
			*buf = append(make([]byte, 0, max(256<<10, 2*cap(*buf))), *buf...)
		}
		n, err := from.Read((*buf)[len(*buf):min(there, cap(*buf))])
		*buf = (*buf)[:len(*buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(*buf) > most:
			return errTooLong
		}
	}
}
