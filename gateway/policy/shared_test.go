package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/policy"
)

// told is what replicas share, of this process.
type told struct {
	mu   sync.Mutex
	of   map[string]policy.Told
	away bool
}

var errAway = errors.New("away")

func (s *told) shared() *policy.Shared {
	s.of = map[string]policy.Told{}
	return &policy.Shared{
		Write: func(_ context.Context, all []policy.Told, gone []string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.away {
				return errAway
			}
			for _, d := range all {
				s.of[d.ID] = d
			}
			for _, id := range gone {
				delete(s.of, id)
			}
			return nil
		},
		Read: func(_ context.Context, id string) (*policy.Told, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if d, ok := s.of[id]; ok && !s.away {
				return &d, nil
			} else if s.away {
				return nil, errAway
			}
			return nil, nil
		},
	}
}

func (s *told) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *told) all() (n int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.of {
		text += string(d.Record)
	}
	return len(s.of), text
}

// TestDecisionsOfOtherReplicas: they are explained to whose they are, traced for administrators,
// and masked as in the log.
func TestDecisionsOfOtherReplicas(t *testing.T) {
	store := &told{}
	dir := team(t, map[string]string{"data.yaml": "masks: [context.source_ip]\n"})
	shared := store.shared()
	here, there := open(t, policy.Config{Dir: dir, Shared: shared}), open(t, policy.Config{Dir: dir, Shared: shared})
	b := bind(t, agent(t), "kv.write", `{"path":"a","data":{"k":"canary-secret"}}`)
	b.Caller.SourceIP = netip.MustParseAddr("203.0.113.77")
	id := here.Decide(t.Context(), b).ID
	ctx, stop := context.WithCancel(t.Context())
	stop()
	here.Tell(ctx) // what is left at the end is told too
	if x, err := there.Explain(t.Context(), agent(t), id); err != nil || x.ID != id || x.Op != "kv.write" || !x.Allow {
		t.Errorf("got %+v, %v", x, err)
	}
	other := agent(t)
	other.Subject = "other"
	behalf := agent(t)
	behalf.Behalf = other
	for _, c := range []*call.Caller{other, behalf} {
		if _, err := there.Explain(t.Context(), c, id); !call.Is(err, call.NotFound) {
			t.Errorf("to %s: %v", c.Holder(), err)
		}
	}
	if r, steps, err := there.Trace(t.Context(), id); err != nil || r.ID != id || len(steps) > 0 || r.Input["action"] == nil {
		t.Errorf("the trace: %+v, %v", r, err)
	}
	if _, text := store.all(); strings.Contains(text, "canary-secret") || strings.Contains(text, "203.0.113.77") {
		t.Errorf("not masked: %s", text)
	}
	store.set(true)
	if _, err := there.Explain(t.Context(), agent(t), id); !errors.Is(err, errAway) {
		t.Errorf("without the store: %v", err)
	}
}

// TestWhatReplicasTellIsBounded: what pushes a decision out of memory pushes it out of the
// store, and what the store could not take is written when it can.
func TestWhatReplicasTellIsBounded(t *testing.T) {
	store := &told{}
	e := open(t, policy.Config{Keep: 128, Shared: store.shared()})
	decide := func(subject string) string {
		c := agent(t, "read")
		c.Subject = subject
		return e.Decide(t.Context(), bind(t, c, "kv.read", `{"path":"app"}`)).ID
	}
	ctx, stop := context.WithCancel(t.Context())
	var telling sync.WaitGroup
	telling.Go(func() { e.Tell(ctx) })
	defer telling.Wait()
	defer stop()
	told := func(what string, ids ...string) {
		t.Helper()
		e2e.Eventually(t, what, func() bool {
			store.mu.Lock()
			defer store.mu.Unlock()
			for _, id := range ids {
				if _, ok := store.of[id]; !ok {
					return false
				}
			}
			return true
		})
	}
	mine := decide("x")
	told("the first", mine)
	store.set(true)
	var last string
	for range 500 {
		last = decide("y")
	}
	store.set(false)
	told("the newest, after the store was away", last, mine)
	if n, _ := store.all(); n > 65 {
		t.Errorf("%d decisions are in the store: a caller has 64", n)
	}
	for i := range 300 {
		last = decide(fmt.Sprint("z", i))
	}
	told("the newest of many", last)
	if n, _ := store.all(); n > 128 {
		t.Errorf("%d decisions are in the store, 128 in memory", n)
	}
}
