package changes

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// pollSubtree lists the names in a subtree for a caller. A new name is polled as a secret
// without versions, and a change is published for a name that is gone.
func (r *round) pollSubtree(ctx context.Context, of *turn, t events.Topic) error {
	if r.List == nil {
		return nil
	}
	names, at, err := readOnce(ctx, r, t, func() ([]string, error) { return r.List(ctx, of.caller, t) }, func(was []string) { r.updateNames(t, namesIn(t, was), time.Time{}) })
	if err != nil {
		return err
	}
	now := namesIn(t, names)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		below, _ := child(t, name)
		r.add(below, of)
	}
	r.sort(of)
	gone, appeared := r.updateNames(t, now, at)
	for _, t := range gone {
		r.Log.Publish(pollEvent(t, 0))
	}
	for _, t := range appeared {
		note(ctx, r, t, Metadata{}) // whoever looks at it first tells of it
	}
	note(ctx, r, t, names)
	return nil
}

// namesIn are the names in a subtree that the gateway serves.
func namesIn(t events.Topic, names []string) map[string]bool {
	in := map[string]bool{}
	for _, name := range names {
		if _, ok := child(t, name); ok {
			in[name] = true
		}
	}
	return in
}

// child is the topic of a name below a subtree. A name that the gateway does not
// serve, because it was written past it, has none.
func child(t events.Topic, name string) (events.Topic, bool) {
	p, err := call.ParsePath(strings.TrimSuffix(name, "/"))
	return events.Topic{Mount: t.Mount, Path: t.Path.Join(p), Below: strings.HasSuffix(name, "/")}, err == nil
}

// add puts a name on a caller's list, when there is room for it.
func (r *round) add(t events.Topic, of *turn) {
	if r.known[t] || r.room == 0 {
		return
	}
	r.room--
	r.known[t] = true
	r.put(of, t)
}

// keep puts what is known below a subtree that was not listed on the list of what is
// not forgotten.
func (r *round) keep(t events.Topic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other := range r.baselines {
		if other != t && other.Mount == t.Mount && other.Path.Within(t.Path) {
			r.known[other] = true
		}
	}
}

// updateNames notes the names in a subtree. It returns the secrets that were there and
// are not, and the names that are there and were not.
func (p *Poller) updateNames(t events.Topic, now map[string]bool, at time.Time) (gone, appeared []events.Topic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.baseline(t)
	for name := range now {
		of, _ := child(t, name)
		if s.known && !s.names[name] && p.baselines[of] == nil {
			p.baseline(of).known = true // with nothing there yet
			appeared = append(appeared, of)
		}
	}
	for name := range s.names {
		if !now[name] {
			gone = append(gone, p.secretsIn(t, name)...)
		}
	}
	for _, g := range gone {
		delete(p.baselines, g)
	}
	s.names, s.known, s.at = now, true, at
	return gone, appeared
}

// secretsIn are the known secrets that a name in a subtree stands for. The lock is held.
func (p *Poller) secretsIn(t events.Topic, name string) (out []events.Topic) {
	of, _ := child(t, name)
	if !of.Below {
		return []events.Topic{of}
	}
	for known := range p.baselines {
		if !known.Below && known.Mount == t.Mount && known.Path != of.Path && known.Path.Within(of.Path) {
			out = append(out, known)
		}
	}
	return out
}
