package auth

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"portcullis/gateway/auth/rule"
)

// TestAFloodOfNamesFreesNone: an issuer that names ever more subjects neither loses those
// that it has to another, nor takes room from another.
func TestAFloodOfNamesFreesNone(t *testing.T) {
	o := newOwners(nil, []string{"issuer A", "issuer B"})
	o.most = 1000
	if err := o.check("/victim", "issuer A"); err != nil {
		t.Fatal(err)
	}
	var refused error
	for i := range 5000 {
		if err := o.check(fmt.Sprintf("/flood-%d", i), "issuer A"); err != nil {
			refused = err
		}
	}
	if !errors.Is(refused, rule.Taken) || !strings.Contains(refused.Error(), "tenant") {
		t.Errorf("the flood: got %v, want what to do about it", refused)
	}
	if err := o.check("/victim", "issuer B"); !errors.Is(err, rule.Taken) {
		t.Errorf("the name went to another issuer: %v", err)
	}
	for _, name := range []string{"/victim", "/flood-1"} {
		if err := o.check(name, "issuer A"); err != nil {
			t.Errorf("%s: a name that it has is refused: %v", name, err)
		}
	}
	if err := o.check("/new", "issuer B"); err != nil {
		t.Errorf("another issuer has no room: %v", err)
	}
}

// TestANameGoesToOneOnly: of many who use a name at the same moment.
func TestANameGoesToOneOnly(t *testing.T) {
	o := newOwners(nil, []string{"A", "B", "C"})
	for i := range 200 {
		var got atomic.Int64
		var wg sync.WaitGroup
		for _, source := range []string{"A", "B", "C"} {
			wg.Go(func() {
				if o.check(fmt.Sprint("/n", i), source) == nil {
					got.Add(1)
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 {
			t.Fatalf("%d sources have one name", got.Load())
		}
	}
}
