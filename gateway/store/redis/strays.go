package redis

import (
	"sync"
	"time"
)

// maxStrays bounds the places that are to be given back; those beyond end with their lease.
const maxStrays = 10_000

// strays are places that Redis may take for held although nobody holds them: the answer was
// lost, or it could not be told that they were released. They are safe for concurrent use.
type strays struct {
	mu sync.Mutex // guards of
	of map[stray]clearing
}

type stray struct{ key, member string }

// clearing is what Redis was told of a stray.
type clearing struct {
	once  bool      // so the next time is the last
	until time.Time // its lease ends by itself then
}

func (s *strays) add(key, member string, lease time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[stray]clearing{}
	}
	if len(s.of) < maxStrays {
		s.of[stray{key, member}] = clearing{until: time.Now().Add(lease)}
	}
}

// clear gives places back. It does so twice, because a request of before whose answer was
// lost may come to Redis after the first time, by another connection. It ends with the first
// error: the others wait for the next round.
func (s *strays) clear(remove func(stray) error) {
	for one, t := range s.all() {
		if time.Now().Before(t.until) && remove(one) != nil {
			return
		}
		s.mu.Lock()
		if t.once || !time.Now().Before(t.until) {
			delete(s.of, one)
		} else {
			s.of[one] = clearing{true, t.until}
		}
		s.mu.Unlock()
	}
}

func (s *strays) all() map[stray]clearing {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[stray]clearing, len(s.of))
	for one, t := range s.of {
		out[one] = t
	}
	return out
}
