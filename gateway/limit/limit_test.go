package limit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/limit"
	"portcullis/gateway/op"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) time() time.Time         { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

func newClock() *clock { return &clock{time.Unix(1_700_000_000, 0)} }

func tiers(list ...op.Tier) func(string) (op.Tier, bool) {
	return func(name string) (op.Tier, bool) {
		for _, t := range list {
			if t.Name == name {
				return t, true
			}
		}
		return op.Tier{}, false
	}
}

func standard() op.Tier {
	return op.Tier{Name: "standard", Requests: 60, Window: time.Minute, Burst: 60}
}

func bound(subject, operation string) *op.Bound {
	return &op.Bound{Op: &op.Op{Spec: op.Spec{Name: operation}}, Caller: &call.Caller{Subject: subject}}
}

func newLimiter(c *clock, list ...op.Tier) *limit.Limiter {
	return limit.New(limit.Config{Tier: tiers(list...), Enabled: true, Now: c.time})
}

// taken counts how many of n calls pass.
func taken(l *limit.Limiter, b *op.Bound, d op.Decision, n int) int {
	passed := 0
	for range n {
		if l.Take(b, &d) == nil {
			passed++
		}
	}
	return passed
}

func TestTheSixtyFirstCallIsLimited(t *testing.T) {
	c := newClock()
	l := newLimiter(c, standard())
	b, d := bound("a", "kv.read"), op.Decision{Allow: true, Tier: "standard"}
	for i := range 60 {
		if err := l.Take(b, &d); err != nil {
			t.Fatalf("call %d: %v", i+1, err)
		}
		c.advance(8 * time.Millisecond)
	}
	err := l.Take(b, &d)
	if !call.Is(err, call.RateLimited) {
		t.Fatalf("call 61: got %v, want rate_limited", err)
	}
	if got, want := call.AsError(err).RetryAfter, time.Second-480*time.Millisecond; got != want {
		t.Errorf("retry after %v, want %v", got, want)
	}
	c.advance(time.Second)
	if got := taken(l, b, d, 5); got != 1 {
		t.Errorf("after a second %d calls pass, want 1", got)
	}
	c.advance(time.Hour)
	if got := taken(l, b, d, 100); got != 60 {
		t.Errorf("a full bucket lets %d calls through, want 60", got)
	}
}

func TestTake(t *testing.T) {
	gold := op.Tier{Name: "gold", Requests: 10, Window: time.Second, Burst: 20, Costs: map[string]int{"db.issue_creds": 5, "self.whoami": 0}}
	closed := op.Tier{Name: "closed", Window: time.Second}
	tests := []struct {
		name     string
		op       string
		decision op.Decision
		calls    int
		want     int
	}{
		{"a tier of its own", "kv.read", op.Decision{Allow: true, Tier: "gold"}, 30, 20},
		{"an operation that costs more", "db.issue_creds", op.Decision{Allow: true, Tier: "gold"}, 30, 4},
		{"an operation that costs nothing", "self.whoami", op.Decision{Allow: true, Tier: "gold"}, 30, 30},
		{"the cost that the decision names", "kv.read", op.Decision{Allow: true, Tier: "gold", Cost: 10}, 30, 2},
		{"denied calls take too", "kv.read", op.Decision{Tier: "gold"}, 30, 20},
		{"a denial without a tier takes from standard", "kv.read", op.Decision{}, 100, 60},
		{"an unknown tier is standard", "kv.read", op.Decision{Tier: "nonsense"}, 100, 60},
		{"a tier without requests", "kv.read", op.Decision{Allow: true, Tier: "closed"}, 3, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLimiter(newClock(), standard(), gold, closed)
			if got := taken(l, bound("a", tt.op), tt.decision, tt.calls); got != tt.want {
				t.Errorf("%d of %d calls pass, want %d", got, tt.calls, tt.want)
			}
		})
	}
}

func TestBucketsAreOfCallerAndTier(t *testing.T) {
	low := op.Tier{Name: "low", Requests: 1, Window: time.Minute, Burst: 1}
	l := newLimiter(newClock(), standard(), low)
	d := op.Decision{Tier: "low"}
	tenant := bound("a", "kv.read")
	tenant.Caller.Tenant = "t"
	for _, b := range []*op.Bound{bound("a", "kv.read"), bound("b", "kv.read"), tenant} {
		if got := taken(l, b, d, 3); got != 1 {
			t.Errorf("%s: %d calls pass, want 1", b.Caller.Key(), got)
		}
	}
	if got := taken(l, bound("a", "kv.read"), op.Decision{Tier: "standard"}, 1); got != 1 {
		t.Error("an empty bucket of one tier empties that of another")
	}
}

func TestNoTierAtAllLimits(t *testing.T) {
	l := newLimiter(newClock())
	if err := l.Take(bound("a", "kv.read"), &op.Decision{}); !call.Is(err, call.RateLimited) {
		t.Errorf("got %v, want rate_limited", err)
	}
}

func TestDisabled(t *testing.T) {
	l := limit.New(limit.Config{Tier: tiers()})
	if err := l.Take(bound("a", "kv.read"), &op.Decision{}); err != nil {
		t.Error(err)
	}
	if _, ok := l.Facts(bound("a", "kv.read").Caller, ""); ok {
		t.Error("there are facts of a limit that is off")
	}
}

// TestWithoutTheSharedStore: the tier says what holds, else credentials are not made and
// the other calls have a bucket here.
func TestWithoutTheSharedStore(t *testing.T) {
	away := func(limit.Key, limit.Charge, time.Time) (limit.Level, error) {
		return limit.Level{}, errors.New("no connection")
	}
	for _, tc := range []struct {
		without string
		effect  op.Effect
		want    int
	}{
		{"", op.Read, 60},
		{"", op.Issue, 0},
		{op.StoreLocal, op.Read, 60},
		{op.StoreLocal, op.Issue, 60},
		{op.StoreDeny, op.Read, 0},
		{op.StoreDeny, op.Issue, 0},
	} {
		tier := standard()
		tier.WithoutStore = tc.without
		l := limit.New(limit.Config{Tier: tiers(tier), Enabled: true, Shared: away, Now: newClock().time})
		b := bound("a", "kv.read")
		b.Op.Effect = tc.effect
		if got := taken(l, b, op.Decision{Tier: "standard"}, 100); got != tc.want {
			t.Errorf("without_store %q, effect %s: %d calls pass, want %d", tc.without, tc.effect, got, tc.want)
		}
		if err := l.Take(b, &op.Decision{}); tc.want == 0 && (!call.Is(err, call.Overloaded) || call.AsError(err).RetryAfter == 0) {
			t.Errorf("got %v, want overloaded and when to try again", err)
		}
	}
}

// TestABucketStandsInAsItWas: what others have taken from the shared bucket counts when
// it cannot be reached any more.
func TestABucketStandsInAsItWas(t *testing.T) {
	c, there := newClock(), true
	shared := func(limit.Key, limit.Charge, time.Time) (limit.Level, error) {
		if !there {
			return limit.Level{}, errors.New("no connection")
		}
		return limit.Level{Full: 50 * time.Second}, nil // 50 of 60 tokens are taken
	}
	l := limit.New(limit.Config{Tier: tiers(standard()), Enabled: true, Shared: shared, Now: c.time})
	b, d := bound("a", "kv.read"), op.Decision{Tier: "standard"}
	taken(l, b, d, 1)
	there = false
	if got := taken(l, b, d, 100); got != 10 {
		t.Errorf("%d calls pass, want the 10 that are left", got)
	}
}

func TestHugeTiersDoNotOverflow(t *testing.T) {
	tier := op.Tier{Name: "standard", Requests: 1, Window: 366 * 24 * time.Hour, Burst: 1_000_000_000, Costs: map[string]int{"kv.write": 1_000_000_000}}
	l := newLimiter(newClock(), tier)
	if got := taken(l, bound("a", "kv.read"), op.Decision{Tier: "standard"}, 200); got < 1 || got > 100 {
		t.Errorf("%d calls of 1 a year with the largest burst pass", got)
	}
	if got := taken(l, bound("b", "kv.write"), op.Decision{Tier: "standard"}, 3); got > 1 {
		t.Errorf("%d calls pass that cost all", got)
	}
}

// A caller must not get a new bucket by having others push its own out.
func TestMemoryIsBoundedAndEmptyBucketsStay(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Config{Tier: tiers(standard()), Enabled: true, Now: c.time, MaxKeys: 64})
	d := op.Decision{Tier: "standard"}
	busy := bound("busy", "kv.read")
	taken(l, busy, d, 60)
	for i := range 10_000 {
		taken(l, bound(fmt.Sprint(i), "kv.read"), d, 1)
	}
	if got := taken(l, busy, d, 1); got != 0 {
		t.Error("the emptiest bucket was evicted before fuller ones")
	}
}

func TestFacts(t *testing.T) {
	c := newClock()
	l := newLimiter(c, standard())
	b, d := bound("a", "kv.read"), op.Decision{Tier: "standard"}
	taken(l, b, d, 10)
	want := limit.Facts{Policy: "standard", Quota: 60, Window: time.Minute, Remaining: 50, Reset: 10 * time.Second}
	for range 2 { // to look takes nothing
		if got, ok := l.Facts(b.Caller, d.Tier); !ok || got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	c.advance(1500 * time.Millisecond)
	if got, _ := l.Facts(b.Caller, d.Tier); got.Remaining != 51 || got.Reset != 8500*time.Millisecond {
		t.Errorf("after 1.5 s got %+v", got)
	}
}

func TestHold(t *testing.T) {
	tier := standard()
	tier.Streams, tier.Concurrent = 2, 0
	l := newLimiter(newClock(), tier)
	a := &call.Caller{Subject: "a"}
	first, err := l.Hold(a, "standard", limit.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Hold(a, "standard", limit.Stream); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Hold(a, "standard", limit.Stream); !call.Is(err, call.RateLimited) {
		t.Errorf("third stream of two: got %v, want rate_limited", err)
	}
	if _, err := l.Hold(a, "standard", limit.Running); err != nil {
		t.Errorf("calls are not bound by the streams: %v", err)
	}
	first()
	first() // a second release must not free another's place
	if _, err := l.Hold(a, "standard", limit.Stream); err != nil {
		t.Errorf("after a release: %v", err)
	}
	if _, err := l.Hold(a, "standard", limit.Stream); err == nil {
		t.Error("releasing twice freed two places")
	}
}

func TestTakeAtOnce(t *testing.T) {
	l := newLimiter(newClock(), standard())
	passed := make(chan int)
	for range 8 {
		go func() {
			passed <- taken(l, bound("a", "kv.read"), op.Decision{Tier: "standard"}, 50)
		}()
	}
	sum := 0
	for range 8 {
		sum += <-passed
	}
	if sum != 60 {
		t.Errorf("%d calls pass at once, want 60", sum)
	}
}

func ExampleLimiter_Take() {
	tier := op.Tier{Name: "standard", Requests: 2, Window: time.Minute, Burst: 2}
	now := time.Unix(0, 0)
	l := limit.New(limit.Config{Tier: tiers(tier), Enabled: true, Now: func() time.Time { return now }})
	b, d := bound("agent_api", "kv.read"), &op.Decision{Tier: "standard"}
	for range 3 {
		if err := l.Take(b, d); err != nil {
			fmt.Println(call.AsError(err).Code, "retry after", call.AsError(err).RetryAfter)
			continue
		}
		fmt.Println("taken")
	}
	// Output:
	// taken
	// taken
	// rate_limited retry after 30s
}

func BenchmarkTake(b *testing.B) {
	tier := op.Tier{Name: "standard", Requests: 1_000_000_000, Window: time.Second, Burst: 1_000_000_000}
	l := limit.New(limit.Config{Tier: tiers(tier), Enabled: true})
	bd, d := bound("a", "kv.read"), &op.Decision{Tier: "standard"}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Take(bd, d); err != nil {
			b.Fatal(err)
		}
	}
}

// TestABatchCostsInProportionToItsItems: ten items cost what a call costs, and the
// largest batch needs a full bucket at most.
func TestABatchCostsInProportionToItsItems(t *testing.T) {
	tier := standard()
	tier.Costs = map[string]int{"transit.sign": 3}
	for _, c := range []struct {
		op          string
		items, want int // calls that a full bucket lets through
	}{
		{"transit.encrypt", 0, 60},
		{"transit.encrypt", 1, 60},
		{"transit.encrypt", 10, 60},
		{"transit.encrypt", 11, 30},
		{"transit.encrypt", 100, 6},
		{"transit.encrypt", 1000, 1},
		{"transit.sign", 10, 20},
		{"transit.sign", 100, 2},
	} {
		b := bound("a", c.op)
		b.Items = c.items
		if got := taken(newLimiter(newClock(), tier), b, op.Decision{Tier: "standard"}, 100); got != c.want {
			t.Errorf("%s of %d items: %d calls pass, want %d", c.op, c.items, got, c.want)
		}
	}
}
