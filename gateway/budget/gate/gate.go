// Package gate bounds how much is done at once and is fair about it: whoever
// waits takes turns by caller, not by call, so a caller with many calls delays
// its own alone.
package gate

import (
	"context"
	"errors"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Gate lets a bounded number through at once. Its fields are set before its first use.
type Gate struct {
	Total int           // at once, of all callers
	Each  int           // at once, of one caller; less than Total, so that no caller holds every place
	Large int           // at once, of one caller after something large, see LeaveLarge; 0 is Each
	Queue int           // waiting, of one caller
	Wait  time.Duration // the longest wait

	mu      sync.Mutex // guards the fields below
	inside  int
	callers map[string]*line
	turns   []*line // callers with somebody waiting, the next one first
	latest  [2]seen // callers that came, the last one first
	narrow  map[string]*window
}

// window is how many a caller may have inside that has had something large.
type window struct {
	most int
	at   time.Time // of the large one
}

// seen is when a caller came the last time.
type seen struct {
	key string
	at  time.Time
}

// line is one caller's.
type line struct {
	key     string
	inside  int
	waiting []chan struct{}
}

// ErrBusy says that no place became free in time.
var ErrBusy = errors.New("too much is going on at once")

// Refused is what a call is answered with that got no place: Canceled when its caller has
// gone away, else Overloaded with the message and when to try again.
func Refused(err error, msg string) *call.Error {
	if errors.Is(err, context.Canceled) {
		return call.Wrap(call.Canceled, "the caller has gone away", err)
	}
	e := call.Wrap(call.Overloaded, msg, err)
	e.RetryAfter = time.Second
	return e
}

// Enter waits for a place; Leave gives it back. The error is ErrBusy or the
// context's own.
func (g *Gate) Enter(ctx context.Context, key string) error {
	place, err := g.join(key)
	if err != nil || place == nil {
		return err
	}
	t := time.NewTimer(g.Wait)
	defer t.Stop()
	select {
	case <-place:
		return nil
	case <-t.C:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !g.quit(key, place) {
		g.Leave(key) // the place came just as patience ended
	}
	return err
}

// join takes a place, or returns what is closed when there is one.
func (g *Gate) join(key string) (chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.callers == nil {
		g.callers = map[string]*line{}
	}
	g.see(key)
	l := g.callers[key]
	if l == nil {
		l = &line{key: key}
		g.callers[key] = l
	}
	if g.inside < g.Total && l.inside < g.most(key) && len(l.waiting) == 0 {
		g.inside++
		l.inside++
		return nil, nil
	}
	if len(l.waiting) >= g.Queue {
		g.forget(key, l)
		return nil, ErrBusy
	}
	place := make(chan struct{})
	if len(l.waiting) == 0 {
		g.turns = append(g.turns, l)
	}
	l.waiting = append(l.waiting, place)
	return place, nil
}

// lately is how long a caller counts as somebody to leave room for.
const lately = time.Second

// see notes that a caller has come. The caller holds mu.
func (g *Gate) see(key string) {
	if g.latest[0].key != key {
		g.latest[1] = g.latest[0]
	}
	g.latest[0] = seen{key, time.Now()}
}

// alone reports whether nobody but a caller has come lately. The caller holds mu.
func (g *Gate) alone(key string) bool {
	other := g.latest[0]
	if other.key == key {
		other = g.latest[1]
	}
	return time.Since(other.at) > lately
}

// What is remembered of callers with something large.
const (
	narrowed = 10 * time.Second
	narrows  = 1024 // callers
)

// most is how many a caller may have inside. The caller holds mu.
func (g *Gate) most(key string) int {
	w := g.narrow[key]
	if w == nil {
		return g.Each
	}
	if time.Since(w.at) > narrowed {
		delete(g.narrow, key)
		return g.Each
	}
	return w.most
}

// small lets a caller that has had something large have one more inside, as a sender's
// window grows (RFC 5681, slow start). The caller holds mu.
func (g *Gate) small(key string) {
	if w := g.narrow[key]; w != nil {
		if w.most++; w.most >= g.Each {
			delete(g.narrow, key)
		}
	}
}

// large lets a caller have few inside: Large when there is nobody else, and one when
// there is. The caller holds mu.
func (g *Gate) large(key string) {
	if g.Large <= 0 {
		return
	}
	if g.narrow == nil {
		g.narrow = map[string]*window{}
	}
	if _, there := g.narrow[key]; !there && len(g.narrow) >= narrows {
		for other := range g.narrow { // any
			delete(g.narrow, other)
			break
		}
	}
	most := 1
	if g.alone(key) {
		most = min(g.Large, g.Each)
	}
	g.narrow[key] = &window{most, time.Now()}
}

// Leave gives a place back.
func (g *Gate) Leave(key string) { g.leave(key, g.small) }

// LeaveLarge gives the place of something back that was dear to do. For a while its
// caller has few at once; each that is small lets one more in.
func (g *Gate) LeaveLarge(key string) { g.leave(key, g.large) }

func (g *Gate) leave(key string, learn func(key string)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	learn(key)
	l := g.callers[key]
	g.inside--
	l.inside--
	g.admit()
	g.forget(key, l)
}

// admit hands free places out, one a caller in turn. The caller holds mu.
func (g *Gate) admit() {
	for i := 0; i < len(g.turns) && g.inside < g.Total; {
		l := g.turns[i]
		if l.inside >= g.most(l.key) {
			i++
			continue
		}
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		g.inside++
		l.inside++
		g.turns = append(g.turns[:i], g.turns[i+1:]...)
		if len(l.waiting) > 0 {
			g.turns = append(g.turns, l)
		}
	}
}

// quit takes back a wait, and reports false when the place was given already.
func (g *Gate) quit(key string, place chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.callers[key]
	for i, p := range l.waiting {
		if p != place {
			continue
		}
		l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
		if len(l.waiting) == 0 {
			g.drop(l)
		}
		g.forget(key, l)
		return true
	}
	return false
}

// drop takes a caller off the turns. The caller holds mu.
func (g *Gate) drop(l *line) {
	for i, t := range g.turns {
		if t == l {
			g.turns = append(g.turns[:i], g.turns[i+1:]...)
			return
		}
	}
}

// forget drops the line of a caller that has nothing here. The caller holds mu.
func (g *Gate) forget(key string, l *line) {
	if l.inside == 0 && len(l.waiting) == 0 {
		delete(g.callers, key)
	}
}

// Load is how many are inside and how many wait.
func (g *Gate) Load() (inside, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.turns {
		waiting += len(l.waiting)
	}
	return g.inside, waiting
}
