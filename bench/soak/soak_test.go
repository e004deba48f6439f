package soak

import (
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e"
)

// TestSoak is the short form of `make soak`: everything is done once.
func TestSoak(t *testing.T) {
	got, err := Run(t.Context(), Options{Root: e2e.Root(t), Dir: t.TempDir(), For: time.Millisecond, Every: 400 * time.Millisecond, Rate: 50, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if got.Calls == 0 || got.Rounds != 1 {
		t.Errorf("got %+v", got)
	}
	for _, f := range got.Failures {
		t.Error(f)
	}
}

// TestFailuresAreExcused: only while something is done, and only with the code for it.
func TestFailuresAreExcused(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, int64(s*1e9)) }
	r := &run{faults: []span{{at(10), at(12)}}, failures: []failure{
		{span{at(11), at(11.5)}, "in it", true},
		{span{at(9.5), at(10.5)}, "begun before", true},
		{span{at(11), at(11.5)}, "another code", false},
		{span{at(13), at(13.5)}, "afterwards", true},
	}}
	got := r.report(1)
	if got.Excused != 2 || len(got.Failures) != 2 || !strings.Contains(got.Failures[0], "another code") || !strings.Contains(got.Failures[1], "afterwards") {
		t.Errorf("got %+v", got)
	}
}

func TestGrown(t *testing.T) {
	steady, leak := []sample{}, []sample{}
	for i := range 40 {
		steady = append(steady, sample{float64(80<<20 + i%7<<20), float64(50 + i%9), float64(30 + i%5)})
		leak = append(leak, sample{80 << 20, float64(50 + 5*i), 30})
	}
	if got := grown(steady); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if got := grown(leak); len(got) != 1 || !strings.HasPrefix(got[0], "goroutines") {
		t.Errorf("got %q", got)
	}
}
