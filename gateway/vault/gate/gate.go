// Package gate bounds how much is done at once and is fair about it: whoever
// waits takes turns by caller, not by call, so a caller with many calls delays
// its own alone.
package gate

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Gate lets a bounded number through at once. Its fields are set before its first use.
type Gate struct {
	Total int           // at once, of all callers
	Each  int           // at once, of one caller; less than Total, so that no caller holds every place
	Queue int           // waiting, of one caller
	Wait  time.Duration // the longest wait

	mu      sync.Mutex // guards the fields below
	inside  int
	callers map[string]*line
	turns   []*line // callers with somebody waiting, the next one first
}

// line is one caller's.
type line struct {
	inside  int
	waiting []chan struct{}
}

// ErrBusy says that no place became free in time.
var ErrBusy = errors.New("too much is going on at once")

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
	l := g.callers[key]
	if l == nil {
		l = &line{}
		g.callers[key] = l
	}
	if g.inside < g.Total && l.inside < g.Each && len(l.waiting) == 0 {
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

// Leave gives a place back.
func (g *Gate) Leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
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
		if l.inside >= g.Each {
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
