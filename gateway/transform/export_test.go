package transform

// Quarantines is the number of callers that a module has a breaker for.
func Quarantines(g *Generation, module string) int {
	q := g.byName[module].breaker
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(len(q.callers), len(q.recent))
}
