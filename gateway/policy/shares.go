package policy

import (
	"slices"
	"sync"
)

// shares hand out the places of a ring so that nobody has more than a share of them:
// whoever has as many replaces its own oldest, others the oldest of all.
type shares struct {
	each int

	mu    sync.Mutex // guards what follows
	next  int
	whose []string         // by place, empty for one that was never taken
	own   map[string][]int // places of each, the oldest first
}

// newShares are those of a ring of n places. One caller has an eighth, at least 64.
func newShares(n int) *shares {
	return &shares{each: max(n/8, 64), whose: make([]string, n), own: map[string][]int{}}
}

// take returns the place for somebody's next record.
func (s *shares) take(who string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.own[who]
	if len(mine) >= s.each {
		i := mine[0]
		copy(mine, mine[1:])
		mine[len(mine)-1] = i
		return i
	}
	i := s.next
	s.next = (s.next + 1) % len(s.whose)
	s.leave(i)
	s.whose[i] = who
	s.own[who] = append(s.own[who], i)
	return i
}

// leave takes a place from whoever has it. The lock is held.
func (s *shares) leave(i int) {
	who := s.whose[i]
	at := slices.Index(s.own[who], i)
	if at < 0 {
		return // it was never taken
	}
	if s.own[who] = slices.Delete(s.own[who], at, at+1); len(s.own[who]) == 0 {
		delete(s.own, who)
	}
}
