package edge

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/budget/gate"
	"portcullis/gateway/obs"
)

// writer remembers what was answered. Every answer that is no stream has a deadline,
// which each 64 KiB that the client has taken move on: a client that takes nothing
// holds its answer for so long and no longer. A stream has deadlines of its own.
type writer struct {
	http.ResponseWriter
	rc       *http.ResponseController
	timeout  time.Duration
	start    time.Time
	rolled   time.Time // when the deadline was moved on
	status   int
	route    string
	target   target      // the request's path, decoded
	errors   ErrorWriter // nil for the usual form of errors
	stream   bool
	edge     *Edge
	detached bool                     // the stream goes on when the handler has returned
	who      budget.Who               // whose request it is
	body     bool                     // something of a body was written
	away     bool                     // there was no room for the request
	reserve  func(n int64) error      // takes bytes of the caller's share, until the answer has left
	taken    atomic.Int64             // bytes that were taken for the answer
	exchange *obs.Exchange            // nil where every request is logged
	turn     gate.Turn                // among those with much to work on
	request  *http.Request            // of HTTP/1.1 where crowded is there
	crowded  func(*http.Request) bool // Config.Crowded, nil where it is not asked

	mu     sync.Mutex // guards places
	places []func()   // what the request holds, given back when it has been answered
}

// newWriter begins an answer. On a connection that is used again the deadline of the
// answer before is still set, which would cut a stream.
func newWriter(rw http.ResponseWriter, r *http.Request, e *Edge) *writer {
	w := &writer{ResponseWriter: rw, rc: http.NewResponseController(rw), edge: e, timeout: e.WriteTimeout, start: time.Now()}
	if r.ProtoMajor < 2 {
		_ = w.rc.SetWriteDeadline(time.Time{}) // not every connection has deadlines
	}
	return w
}

// WriteHeader implements http.ResponseWriter. A stream gives the place of its request
// back: streams have places of their own.
func (w *writer) WriteHeader(status int) {
	w.turn.Leave() // what is left to do is the client's
	if w.status == 0 && status >= 200 {
		w.status = status
		if w.stream = strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"); w.stream {
			w.release()
		}
		if w.crowded != nil && refused(status) && w.crowded(w.request) {
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// refused reports whether a request was not served for who sent it, or how much of what.
func refused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// wasted reports whether a request was refused because its sender, or everybody, has too many,
// or was given up. A stream ends with being given up, and that Vault is away, or a credential
// not good, is told to everybody who asks.
func (w *writer) wasted(r *http.Request) bool {
	return w.away || w.status == http.StatusTooManyRequests || !w.stream && r.Context().Err() != nil
}

// piece is what a client has the write timeout for.
const piece = 64 << 10

func (w *writer) Write(b []byte) (n int, err error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.body = true
	w.turn.Leave()
	if w.stream {
		return w.ResponseWriter.Write(b)
	}
	for err == nil && n < len(b) {
		w.roll()
		var m int
		m, err = w.ResponseWriter.Write(b[n:min(n+piece, len(b))])
		n += m
	}
	return n, err
}

// roll moves the deadline on, but not with every small write.
func (w *writer) roll() {
	if now := time.Now(); now.Sub(w.rolled) > w.timeout/8 {
		w.rolled = now
		_ = w.rc.SetWriteDeadline(now.Add(w.timeout)) // not every connection has deadlines
	}
}

// flush puts a deadline to what net/http still has to write. Over HTTP/2 that is
// waited for here, as long as the request holds its places: a client may have opened
// no window.
func (w *writer) flush(r *http.Request) {
	w.roll()
	if r.ProtoMajor >= 2 && w.body && !w.stream {
		_ = w.rc.Flush() // the reader is gone when this fails
	}
}

// freeAnswer is the length in bytes of an answer that counts against nobody's share.
const freeAnswer = 64 << 10

// Room takes the room of an answer of n bytes from its caller's share of bytes in
// flight, until the answer has left: a caller that asks for large answers and does not read
// them gets no more of them. Its error is the refusal that takes the answer's place.
func Room(w http.ResponseWriter, n int) error {
	ew, ok := w.(*writer)
	if !ok || ew.reserve == nil || n <= freeAnswer {
		return nil
	}
	return ew.take(2*int64(n) - ew.taken.Load()) // it stands in memory as Vault sent it as well
}

// Share takes bytes for an answer that is still to be made, until it has left. It is
// nil where nobody's share is known. Room counts what has been taken with it.
func Share(w http.ResponseWriter) func(bytes int64) error {
	if ew, ok := w.(*writer); ok && ew.reserve != nil {
		return ew.take
	}
	return nil
}

func (w *writer) take(n int64) error {
	if n <= 0 {
		return nil
	}
	err := w.reserve(n)
	if err == nil {
		w.taken.Add(n)
	}
	return err
}

// hold keeps a place until the request has been answered.
func hold(w http.ResponseWriter, release func()) {
	ew, ok := w.(*writer)
	if !ok {
		release()
		return
	}
	ew.mu.Lock()
	defer ew.mu.Unlock()
	ew.places = append(ew.places, release)
}

func (w *writer) release() {
	w.turn.End()
	w.mu.Lock()
	places := w.places
	w.places = nil
	w.mu.Unlock()
	for _, give := range places {
		give()
	}
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

func setRoute(w http.ResponseWriter, pattern string) {
	if ew, ok := w.(*writer); ok {
		ew.route = pattern
	}
}

// Streaming gives the place of a request back that takes its connection: what comes of it
// has a place of its own.
func Streaming(w http.ResponseWriter) {
	if ew, ok := w.(*writer); ok {
		ew.stream = true
		ew.release()
	}
}
