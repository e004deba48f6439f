package vault_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/vault"
)

// TestWrappedAnswersThatHaveEndedAreForgotten: one by one as others come, whoever they
// were given to, and what has not ended is remembered until it is opened.
func TestWrappedAnswersThatHaveEndedAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w vault.Wrappings
		r := rand.New(rand.NewPCG(1, 2))
		open := map[string]time.Time{} // by caller and token
		key := func(i int) string { return fmt.Sprint("caller-", i%7) }
		for i := range 5000 {
			ttl := 1 + r.IntN(100)
			w.Add(key(i), fmt.Sprint(i), ttl)
			open[fmt.Sprint(i)] = time.Now().Add(time.Duration(ttl) * time.Second)
			time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
			old := max(0, i-r.IntN(50))
			ends, there := open[fmt.Sprint(old)]
			if w.Take(key(old+1), fmt.Sprint(old)) {
				t.Fatalf("%d is another caller's", old)
			}
			if got, want := w.Take(key(old), fmt.Sprint(old)), there && !time.Now().After(ends); got != want {
				t.Fatalf("%d: opened %v, want %v", old, got, want)
			}
			delete(open, fmt.Sprint(old))
			if all, _, queued := w.Held(); all != queued || all > 110 {
				t.Fatalf("%d are remembered, %d wait for their end", all, queued)
			}
		}
		time.Sleep(time.Hour)
		w.Add("last", "last", 1)
		if all, callers, _ := w.Held(); all != 1 || callers != 1 {
			t.Errorf("%d of %d callers are remembered, want the last one", all, callers)
		}
	})
}

// TestWrappedAnswersOfOneCallerAreBounded, and those of all.
func TestWrappedAnswersOfOneCallerAreBounded(t *testing.T) {
	var w vault.Wrappings
	for caller := range 300 {
		for i := range 300 {
			w.Add(fmt.Sprint(caller), fmt.Sprint(caller, i), 3600)
		}
	}
	if all, callers, _ := w.Held(); all != 65_536 || callers != 256 {
		t.Errorf("%d of %d callers are remembered, want 65536 of 256", all, callers)
	}
}
