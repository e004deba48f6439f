package capacity_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// load is what a fleet has to do.
type load struct {
	replicas, callers int
	calls, changes    float64 // a second; changes are among the calls
	sticky            bool    // a caller's calls go to one replica
}

// What the table takes for granted: the tier standard as it is without data, the life of
// callers' tokens (CHILD_TOKEN_TTL), and how long secrets are answered from memory where
// READ_CACHE_TTL says so.
const (
	requests  = 600
	window    = time.Minute
	burst     = 120
	tokenTTL  = 90 * time.Second
	cachedFor = 5 * time.Second
)

// Processor time of Redis, measured with BenchmarkCost of package store/redis.
const (
	bucketCost   = 35 * time.Microsecond
	placeCost    = 18 * time.Microsecond // besides, in a tier with concurrent
	decisionCost = 8 * time.Microsecond
	changeCost   = 70 * time.Microsecond
	lookCost     = 65 * time.Microsecond // of a replica, for news
	newsEvery    = 5 * time.Millisecond
)

// redis is the share of one processor that Redis is used for.
func (l load) redis() float64 {
	looks := float64(l.replicas) * min(l.changes, 1/newsEvery.Seconds())
	return l.calls*(bucketCost+decisionCost).Seconds() + l.changes*changeCost.Seconds() + looks*lookCost.Seconds()
}

// buckets are those that are not full: each call makes one so for an interval (Little's law).
func (l load) buckets() float64 { return l.calls * (window / requests).Seconds() }

// pairs are callers at replicas, and rate is how often one of them calls in a second.
func (l load) pairs() (n, rate float64) {
	n = float64(l.callers)
	if !l.sticky {
		n *= float64(l.replicas)
	}
	return n, l.calls / n
}

// A caller's token is replaced by the first call after renewed, and behind that call until it is
// spent: three quarters of its life less up to a tenth of that, and its life less a tenth.
var renewed, spent = tokenTTL.Seconds() * 3 / 4 * 0.95, tokenTTL.Seconds() * 0.9

// tokens are those that Vault makes for callers in a second.
func (l load) tokens() float64 {
	n, rate := l.pairs()
	return n / (renewed + 1/rate)
}

// reads are those that reach Vault in a second where each call reads one secret of its
// caller's, answered from memory for a while. A token that is replaced behind a call makes the
// answer worthless that there is.
func (l load) reads() float64 {
	n, rate := l.pairs()
	there := cachedFor.Seconds() / (cachedFor.Seconds() + 1/rate)
	behind := 1 - math.Exp(-rate*(spent-renewed))
	return n/(cachedFor.Seconds()+1/rate) + l.tokens()*behind*there
}

// fleets are the rows of the page.
var fleets = []load{
	{replicas: 3, callers: 1_000, calls: 3_000, changes: 100},
	{replicas: 20, callers: 50_000, calls: 10_000, changes: 200},
	{replicas: 100, callers: 1_000_000, calls: 10_000, changes: 100},
	{replicas: 100, callers: 1_000_000, calls: 10_000, changes: 10},
}

// table is that of the page.
func table() string {
	var out strings.Builder
	out.WriteString("| replicas | callers | calls a second | changes a second | Redis is used | of that for hearing of changes | buckets in Redis | tokens of callers a second, spread | one replica for each caller | reads at Vault a second with `READ_CACHE_TTL=5s`, spread | one replica for each caller |\n")
	out.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range fleets {
		still, one := l, l
		still.changes, one.sticky = 0, true
		fmt.Fprintf(&out, "| %d | %s | %s | %.0f | %.0f %% | %.0f %% | %s | %s | %s | %s | %s |\n", l.replicas, count(float64(l.callers)), count(l.calls), l.changes,
			100*l.redis(), 100*(l.redis()-still.redis()), count(l.buckets()), count(l.tokens()), count(one.tokens()), count(l.reads()), count(one.reads()))
	}
	return out.String()
}

// count is a number of two digits that mean something.
func count(n float64) string {
	step := 1
	for n/float64(step) >= 100 {
		step *= 10
	}
	text := fmt.Sprint((int(n) + step/2) / step * step)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// TestThePageSaysWhatTheModelSays: its table is that of the model.
func TestThePageSaysWhatTheModelSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), table()) {
		t.Errorf("the table of capacity.md is not the model's, which is:\n%s", table())
	}
}
