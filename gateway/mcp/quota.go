package mcp

import "sync"

// quota bounds, in bytes, what is kept for each caller: its sessions, what it said of
// itself in them, and what it subscribes to.
type quota struct {
	most int

	mu   sync.Mutex // guards held
	held map[string]int
}

// What a session and a subscription hold beside the caller's own text, in bytes.
const (
	sessionBytes = 1 << 10
	topicBytes   = 256
)

// take reserves bytes for a caller, all or none.
func (q *quota) take(owner string, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[owner]+n > q.most {
		return false
	}
	if q.held == nil {
		q.held = map[string]int{}
	}
	q.held[owner] += n
	return true
}

// give returns bytes that were taken.
func (q *quota) give(owner string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[owner] -= n; q.held[owner] <= 0 {
		delete(q.held, owner)
	}
}
