package transform

import "errors"

// Quarantines is the number of callers that a module has a breaker for.
func Quarantines(g *Generation, module string) int {
	q := g.byName[module].breaker
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(len(q.callers), len(q.recent))
}

// Shapes works out what results must look like.
func Shapes(r *Result) error {
	_, same := r.same()
	_, masked := r.masked()
	return errors.Join(same, masked)
}
