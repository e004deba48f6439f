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
	Total    int           // at once, of all callers
	Each     int           // at once, of one caller; less than Total, so that no caller holds every place
	Large    int           // at once, of one caller that begins while others are there, see window; 0 is Each
	Queue    int           // waiting, of one caller
	Wait     time.Duration // the longest wait
	Rest     int           // how many times as long as something large took its caller's next one waits, see LeaveLarge
	Presence *Presence     // callers that come, here or elsewhere; nil for those that come here

	mu      sync.Mutex // guards the fields below
	inside  int
	callers map[string]*line
	turns   []*line  // callers with somebody waiting, the next one first
	present Presence // where Presence is nil
	windows map[string]*window
}

// window is how many a caller may have inside, which grows as a sender's does (RFC 5681,
// slow start): nobody knows before Vault has done the work how dear a request is, so a
// caller begins with few beside others, and each that was small lets one more in.
type window struct {
	most  int
	at    time.Time     // when it was used the last time
	large time.Time     // when there was something large the last time
	took  time.Duration // it
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
	now := time.Now()
	g.presence().see(key, now)
	l := g.callers[key]
	if l == nil {
		l = &line{key: key}
		g.callers[key] = l
	}
	if g.inside < g.Total && l.inside < g.most(key, now) && len(l.waiting) == 0 {
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

// presence is where callers are known to be there.
func (g *Gate) presence() *Presence {
	if g.Presence != nil {
		return g.Presence
	}
	return &g.present
}

// What is remembered of callers that have had several inside, or something large.
const (
	windows    = 1024             // callers
	unused     = 10 * time.Second // how long a window is kept as wide as it grew
	suspicious = 10 * time.Minute // how long something large is remembered
	afterLarge = 8                // the widest window meanwhile
)

// most is how many a caller may have inside. The caller holds mu.
func (g *Gate) most(key string, now time.Time) int {
	if g.Large <= 0 {
		return g.Each
	}
	w := g.windows[key]
	dear := w != nil && now.Sub(w.large) <= suspicious
	if w != nil && !dear && now.Sub(w.at) > unused {
		delete(g.windows, key)
		w = nil
	}
	switch {
	case !dear && g.presence().alone(key, now):
		return g.Each
	case w == nil || now.Sub(w.at) > unused:
		return g.few()
	}
	return w.most
}

// few is how many a caller may have inside that begins.
func (g *Gate) few() int { return min(g.Large, g.Each) }

// small lets a caller that had as many inside as it may have one more. The caller holds mu.
func (g *Gate) small(key string) {
	if g.Large <= 0 {
		return
	}
	now, inside, most := time.Now(), g.callers[key].inside, g.few()
	w := g.windows[key]
	if w != nil && now.Sub(w.at) <= unused {
		most, w.at = w.most, now
	}
	if inside < most {
		return
	}
	if free := g.most(key, now); free > most {
		most = min(free, inside) // it is alone
	}
	w = g.window(key)
	w.most, w.at = min(most+1, g.Each), now
	if now.Sub(w.large) <= suspicious {
		w.most = min(w.most, max(most, afterLarge))
	}
}

// large lets a caller have few inside, and one when there is somebody else. The caller
// holds mu.
func (g *Gate) large(key string, took time.Duration) {
	if g.Large <= 0 {
		return
	}
	w := g.window(key)
	w.at = time.Now()
	w.large, w.took, w.most = w.at, took, 1
	if g.presence().alone(key, w.at) {
		w.most = g.few()
	}
}

// window is that of a caller. The caller holds mu.
func (g *Gate) window(key string) *window {
	w := g.windows[key]
	if w != nil {
		return w
	}
	if g.windows == nil {
		g.windows = map[string]*window{}
	}
	if len(g.windows) >= windows {
		for other := range g.windows { // any
			delete(g.windows, other)
			break
		}
	}
	w = &window{}
	g.windows[key] = w
	return w
}

// LeaveLarge gives the place of something back that was dear to do, and tells how long it
// was worked at. Its caller's window is narrow again, and does not grow as wide as before
// for a while. While others are there it counts as the caller's for longer than the work
// took, so that what comes next of this caller does not keep a processor busy without a
// break.
func (g *Gate) LeaveLarge(key string, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaveLarge(key, took)
}

// GiveUp gives a place back that was given up before anybody knew how dear it is. Whoever
// does the work may be at it still: of a caller that has had something large, it counts as
// what was the last time.
func (g *Gate) GiveUp(key string, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w := g.windows[key]; w != nil && time.Since(w.large) <= suspicious {
		g.leaveLarge(key, max(took, w.took))
		return
	}
	g.leave(key)
}

// leaveLarge is LeaveLarge. The caller holds mu.
func (g *Gate) leaveLarge(key string, took time.Duration) {
	g.large(key, took)
	if rest := min(time.Duration(g.Rest)*took, longestRest); rest > 0 && !g.presence().alone(key, time.Now()) {
		g.inside--
		g.admit()
		time.AfterFunc(rest, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.inside++ // for leave, which counts both
			g.leave(key)
		})
		return
	}
	g.leave(key)
}

// longestRest is how long a caller's next one waits at most behind something large.
const longestRest = 500 * time.Millisecond

// Leave gives a place back.
func (g *Gate) Leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.small(key)
	g.leave(key)
}

// leave gives a place back. The caller holds mu.
func (g *Gate) leave(key string) {
	l := g.callers[key]
	g.inside--
	l.inside--
	g.admit()
	g.forget(key, l)
}

// admit hands free places out, one a caller in turn. The caller holds mu.
func (g *Gate) admit() {
	now := time.Now()
	for i := 0; i < len(g.turns) && g.inside < g.Total; {
		l := g.turns[i]
		if l.inside >= g.most(l.key, now) {
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
