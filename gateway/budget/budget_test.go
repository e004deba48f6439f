package budget_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

func small(k budget.Kind, l budget.Limit) *budget.Budgets {
	var t budget.Table
	t[k] = l
	return budget.New(t)
}

func caller(subject string) budget.Who { return budget.Of(&call.Caller{Subject: subject}) }

func TestOneCallersShareLeavesTheOthersTheirs(t *testing.T) {
	b := small(budget.Streams, budget.Limit{Caller: 2, All: 3})
	first, err := b.Reserve(caller("a"), budget.Streams, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(caller("a"), budget.Streams, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(caller("a"), budget.Streams, 1); !call.Is(err, call.RateLimited) || call.AsError(err).Wait() == 0 {
		t.Errorf("third of one caller: got %v, want rate_limited with a time to wait", err)
	}
	if _, err := b.Reserve(caller("b"), budget.Streams, 1); err != nil {
		t.Errorf("another caller: %v", err)
	}
	if _, err := b.Reserve(caller("c"), budget.Streams, 1); !call.Is(err, call.Overloaded) {
		t.Errorf("when all are taken: got %v, want overloaded", err)
	}
	first()
	first() // gives back once
	if got := b.Used(budget.Streams); got != 2 {
		t.Errorf("used: got %d, want 2", got)
	}
	if _, err := b.Reserve(caller("c"), budget.Streams, 1); err != nil {
		t.Errorf("after one was given back: %v", err)
	}
}

func TestATierReplacesTheShareOfACaller(t *testing.T) {
	b := small(budget.Calls, budget.Limit{Caller: 1, All: 10})
	for i := range 4 {
		_, err := b.ReserveWithin(caller("a"), budget.Calls, 1, 3)
		if (err != nil) != (i == 3) {
			t.Errorf("call %d: got %v", i+1, err)
		}
	}
}

func TestWhoProvesNothingIsBoundedByAddress(t *testing.T) {
	b := small(budget.Anonymous, budget.Limit{Address: 2, All: 10})
	for i, c := range []struct {
		addr string
		ok   bool
	}{
		{"2001:db8::1", true},
		{"2001:db8::2", true},
		{"2001:db8::3", false}, // the same /64
		{"2001:db8:0:1::1", true},
		{"192.0.2.1", true},
		{"::ffff:192.0.2.1", true},
		{"192.0.2.1", false},
	} {
		_, err := b.Reserve(budget.From(netip.MustParseAddr(c.addr)), budget.Anonymous, 1)
		if (err == nil) != c.ok {
			t.Errorf("%d, %s: got %v, want ok %v", i, c.addr, err, c.ok)
		}
	}
}

func TestNothingIsLeftWhenAllHasBeenGivenBack(t *testing.T) {
	b := small(budget.Bytes, budget.Limit{Caller: 100, Address: 50, All: 400})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 2000 {
				who := caller(fmt.Sprint(r.IntN(5)))
				if r.IntN(2) == 0 {
					who = budget.From(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(5))}))
				}
				release, err := b.Reserve(who, budget.Bytes, int64(1+r.IntN(60)))
				if b.Used(budget.Bytes) > 400 {
					t.Error("more is held than everybody may hold")
				}
				if err == nil {
					release()
				}
			}
		})
	}
	wg.Wait()
	if got := b.Used(budget.Bytes); got != 0 {
		t.Errorf("got %d, want 0", got)
	}
}

func TestWhatIsSpentComesBackByTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := small(budget.Evidence, budget.Limit{Caller: 1000, All: 1500})
		if err := b.Spend(caller("a"), budget.Evidence, 1000); err != nil {
			t.Fatal(err)
		}
		if err := b.Spend(caller("a"), budget.Evidence, 1); !call.Is(err, call.RateLimited) {
			t.Errorf("over the caller's share: got %v", err)
		}
		if err := b.Spend(caller("b"), budget.Evidence, 500); err != nil {
			t.Errorf("another caller: %v", err)
		}
		if err := b.Spend(caller("b"), budget.Evidence, 1); !call.Is(err, call.Overloaded) {
			t.Errorf("over everybody's: got %v", err)
		}
		if got := b.Used(budget.Evidence); got != 1500 {
			t.Errorf("used: got %d, want 1500", got)
		}
		if got := b.Describe(); !strings.Contains(got, "evidence") {
			t.Errorf("health says %q", got)
		}
		time.Sleep(11 * time.Second)
		if got := b.Describe(); got != "ready" {
			t.Errorf("health says %q when there is room again", got)
		}
		if err := b.Spend(caller("a"), budget.Evidence, 1400); err != nil {
			t.Errorf("larger than the bucket, which is full: %v", err)
		}
	})
}

// TestWhatIsCountedElsewhereIsBoundedHere: leases are in Vault and outlive the
// process, so they are said, not reserved.
func TestWhatIsCountedElsewhereIsBoundedHere(t *testing.T) {
	b := small(budget.Leases, budget.Limit{All: 5})
	b.Count(caller("a"), budget.Leases, 4) // found at the start
	if err := b.Claim(caller("b"), budget.Leases, 1); err != nil {
		t.Fatal(err)
	}
	if err := b.Claim(caller("b"), budget.Leases, 2); !call.Is(err, call.Overloaded) {
		t.Errorf("one more than everybody may: got %v", err)
	}
	b.Count(caller("c"), budget.Leases, 3) // of another replica
	if got := b.Used(budget.Leases); got != 8 {
		t.Errorf("used: got %d, want 8", got)
	}
	if err := b.Claim(caller("a"), budget.Leases, 3); err != nil {
		t.Errorf("fewer than before: %v", err)
	}
	for _, s := range []string{"a", "b", "c"} {
		b.Count(caller(s), budget.Leases, 0)
	}
	if got := b.Used(budget.Leases); got != 0 {
		t.Errorf("used at the end: got %d", got)
	}
}

func TestTable(t *testing.T) {
	got, err := budget.Defaults().Parse([]string{"streams=10/0/20", " bytes = 8MiB//1GiB"})
	if err != nil {
		t.Fatal(err)
	}
	want := budget.Defaults()
	want[budget.Streams] = budget.Limit{Caller: 10, All: 20}
	want[budget.Bytes].Caller, want[budget.Bytes].All = 8<<20, 1<<30
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	_, err = budget.Defaults().Parse([]string{"strems=1/1/1", "streams=1", "bytes=-1/0/0", "kept=1/2/x"})
	for _, s := range []string{"strems", "streams: want three numbers", `"-1"`, `"x"`} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("got %v, want %q in it", err, s)
		}
	}
}

func TestEveryKindHasANameAndADefault(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range budget.Kinds() {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d: name %q", k, k)
		}
		seen[k.String()] = true
		if l := budget.Defaults()[k]; l.All == 0 {
			t.Errorf("%s has no default for everybody", k)
		}
	}
}

func TestNoBudgetsBoundNothing(t *testing.T) {
	var b *budget.Budgets
	release, err := b.Reserve(caller("a"), budget.Streams, 1)
	if err != nil || b.Spend(caller("a"), budget.Logs, 1) != nil || b.Exhausted() != nil {
		t.Error("the nil budgets refuse")
	}
	release()
}

func Example() {
	b := budget.New(budget.Defaults())
	release, err := b.Reserve(caller("agent_api"), budget.Sessions, 1)
	fmt.Println(b.Used(budget.Sessions), err)
	release()
	fmt.Println(b.Used(budget.Sessions))
	// Output:
	// 1 <nil>
	// 0
}

// TestREADMEShowsTheDefaults holds the table of README, "Budgets", to the code.
func TestREADMEShowsTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	show := func(k budget.Kind, n int64) string {
		switch {
		case n == 0:
			return ""
		case n%(1<<20) == 0:
			return fmt.Sprintf("%d MiB", n>>20)
		case k == budget.Logs:
			return fmt.Sprintf("%d KiB", n>>10)
		case n >= 1000:
			return fmt.Sprintf("%d,%03d", n/1000, n%1000)
		}
		return fmt.Sprint(n)
	}
	for _, k := range budget.Kinds() {
		l := budget.Defaults()[k]
		_, row, _ := strings.Cut(string(text), "\n| `"+k.String()+"` |")
		cells := strings.Split(row, "|")
		for i, n := range []int64{l.Caller, l.Address, l.All} {
			if got := strings.TrimSpace(cells[min(i, len(cells)-1)]); got != show(k, n) {
				t.Errorf("%s, number %d: README says %q, the code %q", k, i+1, got, show(k, n))
			}
		}
	}
}
