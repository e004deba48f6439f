package budget

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// refusals counts what was refused.
func refusals(k Kind, s Scope) *metrics.Counter {
	return metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_budget_refused_total{budget=%q,scope=%q}", k, s))
}

// Gauges registers what is used and what may be, by kind. The counters that an alert
// watches begin with it: the first step of one that begins later is not seen by rate().
func (b *Budgets) Gauges(register func(name string, f func() float64)) {
	for k := range kinds {
		register(fmt.Sprintf("portcullis_budget_used{budget=%q}", k), func() float64 { return float64(b.Used(k)) })
		refusals(k, Everybody)
		register(fmt.Sprintf("portcullis_budget_limit{budget=%q}", k), func() float64 { return float64(b.Limit(k).All) })
	}
}

// shown is how long a budget is reported as exhausted after somebody was refused for it.
const shown = 10 * time.Second

// Exhausted names the budgets of which everybody's share is used up, or was when
// somebody asked for more within the last ten seconds.
func (b *Budgets) Exhausted() []string {
	if b == nil {
		return nil
	}
	var names []string
	now := b.now()
	for k := range kinds {
		if b.pools[k].isExhausted(now) {
			names = append(names, k.String())
		}
	}
	return slices.Clip(names)
}

func (p *pool) isExhausted(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit.All > 0 && p.all >= p.limit.All || !p.turned.IsZero() && now.Sub(p.turned) < shown
}

// Describe says in one sentence whether a budget is exhausted, for the health page.
func (b *Budgets) Describe() string {
	names := b.Exhausted()
	if len(names) == 0 {
		return "ready"
	}
	return "exhausted: " + strings.Join(names, ", ") + "; what needs more is refused until some is given back"
}
