package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/budget"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// TestWhatIsKeptOfOneCallerIsBounded: whoever asks for ever new decisions replaces its
// own, and a new policy begins with none.
func TestWhatIsKeptOfOneCallerIsBounded(t *testing.T) {
	var table budget.Table
	table[budget.Cache].Caller = 320
	b := budget.New(table)
	dir := team(t, map[string]string{"data.yaml": granting})
	e := open(t, policy.Config{Dir: dir, Budgets: b})
	quiet, greedy := agent(t), agent(t)
	quiet.Subject = "quiet"
	cached := func(path string) bool {
		return e.Decide(t.Context(), bind(t, greedy, "kv.read", fmt.Sprintf(`{"path":%q}`, path))).Cached
	}
	e.Decide(t.Context(), bind(t, quiet, "kv.read", `{"path":"app"}`))
	for i := range 2000 {
		cached(fmt.Sprint("p", i))
	}
	if got := b.Used(budget.Cache); got != 321 {
		t.Errorf("%d entries are counted, want 320 and that of the other", got)
	}
	if !e.Decide(t.Context(), bind(t, quiet, "kv.read", `{"path":"app"}`)).Cached {
		t.Error("the other caller's decision is gone")
	}
	if !cached("p1999") {
		t.Error("the newest decision is not kept")
	}
	write(t, dir, "data.yaml", refusing)
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.Used(budget.Cache); got != 0 {
		t.Errorf("%d entries of the policy before are counted", got)
	}
}

// TestListsCountAgainstTheirCaller: as decisions do. What would be kept by a very long
// text is not.
func TestListsCountAgainstTheirCaller(t *testing.T) {
	var table budget.Table
	table[budget.Cache].Caller = 5
	b := budget.New(table)
	e := open(t, policy.Config{Budgets: b, CacheSize: -1})
	long := agent(t)
	long.Roles = []string{strings.Repeat("x", 16<<10)}
	e.Over(op.REST).Callable(t.Context(), long, catalogue(t).Get("kv.read"))
	if got := b.Used(budget.Cache); got != 0 {
		t.Errorf("%d lists are kept for a role of 16 KiB", got)
	}
	for i := range 20 {
		c := agent(t)
		c.Roles = []string{fmt.Sprint("role", i)}
		e.Over(op.REST).Callable(t.Context(), c, catalogue(t).Get("kv.read"))
	}
	if got := b.Used(budget.Cache); got != 5 {
		t.Errorf("%d lists are counted, want 5", got)
	}
}
