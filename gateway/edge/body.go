package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
)

// body bounds the size of a request's body and the time that it may take. The
// time does not touch what comes behind the body, so it never cuts a stream.
type body struct {
	io.ReadCloser
	rc      *http.ResponseController
	timeout time.Duration
	started bool
	ctx     context.Context     //nolint:containedctx // of the request whose body it is
	reserve func(n int64) error // takes room for n more bytes of a body of unknown length
	got     int64               // bytes read
	room    int64               // bytes that there is room for
	spare   *sync.Pool          // of *[piece]byte
}

// drainTimeout is how long the body of a request may take that has been refused:
// net/http reads what is left of a body before it sends the answer.
const drainTimeout = 2 * time.Second

// awaitBody bounds the time in which a body is there, whether anybody reads it or not.
func awaitBody(w http.ResponseWriter, r *http.Request, timeout time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout)) // not every connection has deadlines
	}
}

func (e *Edge) newBody(w http.ResponseWriter, r *http.Request) *body {
	return &body{
		ReadCloser: http.MaxBytesReader(w, r.Body, e.MaxBody), rc: http.NewResponseController(w),
		timeout: e.BodyTimeout, ctx: r.Context(), spare: &e.spare,
	}
}

func (b *body) Read(p []byte) (int, error) {
	if !b.started {
		b.started = true
		_ = b.rc.SetReadDeadline(time.Now().Add(b.timeout)) // not every connection has deadlines
	}
	p, err := b.within(p)
	if err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.got += int64(n)
	if errors.Is(err, io.EOF) { // after any other error the server drains the rest, which must end as well
		_ = b.rc.SetReadDeadline(time.Time{})
		if b.got > dear {
			if late := gate.Of(b.ctx).Enter(b.ctx); late != nil {
				return n, gate.Refused(late, "too many large requests at once; send fewer of them at a time")
			}
		}
	}
	return n, err
}

// dear is the length in bytes of a body from which on it is worked on in turns: to parse
// it, to check it and to record it takes as long as many other calls do as a whole.
const dear = 16 << 10

// within cuts p to what there is room for, of which it takes a piece more when all is
// used.
func (b *body) within(p []byte) ([]byte, error) {
	if b.reserve == nil {
		return p, nil
	}
	if b.got == b.room {
		if err := b.reserve(piece); err != nil {
			return nil, err
		}
		b.room += piece
	}
	return p[:min(int64(len(p)), b.room-b.got)], nil
}

// ReadAll is io.ReadAll of a request's body. What has come of a large one waits in pieces,
// and is put together when all of it is there and it has its turn: nothing is allocated for
// what is only announced.
func ReadAll(r *http.Request) ([]byte, error) {
	if n := r.ContentLength; n >= 0 && n < piece {
		b := bytes.NewBuffer(make([]byte, 0, n+bytes.MinRead)) // which wants as much to see the end
		_, err := b.ReadFrom(r.Body)
		return b.Bytes(), err
	}
	var all pieces
	if b, ok := r.Body.(*body); ok {
		all.spare = b.spare
	}
	defer all.end()
	for {
		n, err := r.Body.Read(all.room())
		all.n += n
		switch {
		case errors.Is(err, io.EOF):
			return all.bytes(), nil
		case err != nil:
			return nil, err
		}
	}
}

// pieces hold what has come of a body.
type pieces struct {
	spare *sync.Pool // of *[piece]byte, nil for none
	all   []*[piece]byte
	n     int // bytes in them
}

// room is where the next bytes go.
func (p *pieces) room() []byte {
	if p.n == len(p.all)*piece {
		p.all = append(p.all, p.one())
	}
	return p.all[p.n/piece][p.n%piece:]
}

func (p *pieces) one() *[piece]byte {
	if p.spare != nil {
		if one, ok := p.spare.Get().(*[piece]byte); ok {
			return one
		}
	}
	return new([piece]byte)
}

func (p *pieces) bytes() []byte {
	out := make([]byte, 0, p.n)
	for i, one := range p.all {
		out = append(out, one[:min(piece, p.n-i*piece)]...)
	}
	return out
}

// end gives the pieces back for other bodies.
func (p *pieces) end() {
	for i, one := range p.all {
		if p.spare != nil {
			clear(one[:min(piece, p.n-i*piece)]) // there are secrets in it
			p.spare.Put(one)
		}
	}
	p.all = nil
}

// ReadBody reads the whole body of a request that Handle has bounded. Errors are
// BodyTooLarge, InvalidRequest, and those of a budget that has no room for it.
func ReadBody(r *http.Request) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, call.Errorf(call.UnsupportedMediaType, "an encoded body is not accepted")
	}
	raw, err := ReadAll(r)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, call.Errorf(call.BodyTooLarge, "the body is too large")
	}
	if full, ok := errors.AsType[*call.Error](err); ok {
		return nil, full
	}
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the body could not be read completely")
	}
	return raw, nil
}
