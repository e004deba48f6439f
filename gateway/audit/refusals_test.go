package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

func refused(t *testing.T, subject string, code call.Code) *op.Record {
	r := record(t, `{"path":"a"}`)
	r.Request.Caller = &call.Caller{Subject: subject, Method: call.APIKey}
	r.Err = call.Errorf(code, "no")
	return r
}

// TestRefusalsOfOneCallerAreCounted: the first ones have a line each, of the others
// the count is a line when the window ends, and none is missing in the sum.
func TestRefusalsOfOneCallerAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		var ended []audit.Refusals
		l := audit.Open(audit.Config{Path: path, Ended: func(r audit.Refusals) { ended = append(ended, r) }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		limited, bad, other := refused(t, "noisy", call.RateLimited), refused(t, "noisy", call.InvalidRequest), refused(t, "quiet", call.Forbidden)
		const n = 5000
		for i := range n {
			if i%100 == 0 {
				<-time.After(100 * time.Millisecond)
			}
			for _, r := range []*op.Record{limited, bad} {
				if err := l.Refusal(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := firstOf(l.Refusal(other), l.Intent(limited), l.Outcome(limited)); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		stop()
		<-done
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		all := lines(t, path)
		single, counted := map[any]int{}, 0
		for _, m := range all {
			switch m["type"] {
			case "refusal":
				single[m["subject"]]++
			case "refusals":
				if m["subject"] != "noisy" || m["codes"] == nil || m["ops"].(map[string]any)["kv.write"] == nil {
					t.Errorf("got %v", m)
				}
				counted += int(m["count"].(float64))
			}
		}
		if single["quiet"] != 1 || single["noisy"]+counted != 2*n || single["noisy"] < 2*20 || len(all) > 300 || len(ended) == 0 {
			t.Errorf("got %d lines, %v of their own and %d counted, want all of %d in at most 300 lines", len(all), single, counted, 2*n)
		}
	})
}

// TestNobodyHidesBehindRefusals: what a caller is refused for the first time in a window has a
// line, however often it was refused something else before.
func TestNobodyHidesBehindRefusals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, audit.Config{Path: path})
	ask := func(what string, times int) {
		for range times {
			r := refused(t, "bot", call.Forbidden)
			p, err := call.ParsePath(what)
			if err != nil {
				t.Fatal(err)
			}
			r.Bound.Resource.Path = p
			if err := l.Refusal(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask("decoy", 1000)
	ask("crown/jewels", 1000)
	for i := range 1000 {
		ask(fmt.Sprintf("made/up/%d", i), 1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	named, counted := map[any]int{}, 0
	for _, m := range chained(t, path) {
		if n, ok := m["count"].(float64); ok {
			counted += int(n)
			continue
		}
		named[m["path"]]++
	}
	if named["decoy"] != 20 || named["crown/jewels"] != 1 || len(named) != 64 || counted != 3000-20-1-62 {
		t.Errorf("%d names in lines, %d of the decoy and %d of what it hides, %d counted", len(named), named["decoy"], named["crown/jewels"], counted)
	}
}

// TestRefusedSendersAreCounted: one line for each address and window.
func TestRefusedSendersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		l := audit.Open(audit.Config{Path: path})
		first := 0
		for i := range 900 {
			if l.Unauthenticated(fmt.Sprintf("192.0.2.%d", i%3), "unauthenticated", "unknown_key") {
				first++
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		all := lines(t, path)
		if first != 3 || len(all) != 3 {
			t.Fatalf("got %d firsts and %v, want one each of three addresses", first, all)
		}
		for _, m := range all {
			if m["type"] != "refusals" || m["count"] != 300.0 || m["source_ip"] == "" || m["rules"].(map[string]any)["unknown_key"] != 300.0 {
				t.Errorf("got %v", m)
			}
		}
	})
}

// TestCountsOutliveAFailure: what could not be written is in the next line.
func TestCountsOutliveAFailure(t *testing.T) {
	dir := t.TempDir()
	l := audit.Open(audit.Config{Path: filepath.Join(dir, "audit.jsonl", "is", "no", "directory")})
	path := filepath.Join(dir, "audit.jsonl")
	writeFile(t, path)
	l.Unauthenticated("192.0.2.1", "unauthenticated", "unknown_key")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	removeFile(t, path)
	l.Unauthenticated("192.0.2.1", "unauthenticated", "unknown_key")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, filepath.Join(path, "is", "no", "directory")); len(got) != 1 && len(got) != 2 || got[len(got)-1]["count"] != 2.0 {
		t.Errorf("got %v, want a count of two", got)
	}
}

// TestManyAddressesShareACount: what an outsider chooses does not fill the memory.
func TestManyAddressesShareACount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path})
	for i := range 20_000 {
		l.Unauthenticated(fmt.Sprintf("2001:db8::%x", i), "unauthenticated", "unknown_key")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all, sum := lines(t, path), 0
	for _, m := range all {
		sum += int(m["count"].(float64))
	}
	if len(all) != 1_001 || sum != 20_000 {
		t.Errorf("got %d lines and a sum of %d", len(all), sum)
	}
}

// TestACallersEvidenceIsBounded: over its share its calls are refused, refusals are
// counted, and what was begun has its outcome.
func TestACallersEvidenceIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	room := 5000
	l := audit.Open(audit.Config{Path: path, Spend: func(_ *call.Caller, n int) error {
		if n > room {
			return call.Errorf(call.RateLimited, "too many bytes of evidence")
		}
		room -= n
		return nil
	}})
	r := refused(t, "noisy", call.RateLimited)
	begun := 0
	for range 100 {
		err := l.Intent(r)
		if err == nil {
			begun++
			err = l.Outcome(r)
		}
		if err != nil && (!call.Is(err, call.RateLimited) || l.Refusal(r) != nil) {
			t.Fatal(err)
		}
	}
	if err := firstOf(l.Outcome(r), l.Close()); err != nil {
		t.Fatal(err)
	}
	got, counted := map[any]int{}, 0
	for _, m := range lines(t, path) {
		got[m["type"]]++
		if n, ok := m["count"].(float64); ok {
			counted += int(n)
		}
	}
	if begun == 0 || got["intent"] != begun || got["outcome"] != begun+1 || got["refusal"]+counted != 100-begun || counted == 0 {
		t.Errorf("%d of 100 begun: got %v and %d counted", begun, got, counted)
	}
}

// TestNamesThatAreMadeUpDoNotFillTheEvidence: a caller that asks for an operation that does
// not exist, another one each time, makes neither memory nor its line grow with that.
func TestNamesThatAreMadeUpDoNotFillTheEvidence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, audit.Config{Path: path})
	const asked = 20_000
	for n := range asked {
		r := &op.Record{Request: &op.Request{ID: "r", Op: fmt.Sprintf("made.up-%d", n), Transport: op.MCP, Caller: &call.Caller{Subject: "bot"}}, Err: call.Errorf(call.NotFound, "no such operation")}
		if err := l.Refusal(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Size() > 64<<10 {
		t.Errorf("%d refusals take %d bytes, %v", asked, st.Size(), err)
	}
	counted := 0
	for _, m := range chained(t, path) {
		switch m["type"] {
		case "refusal":
			counted++
		case "refusals":
			counted += int(m["count"].(float64))
			if ops := m["ops"].(map[string]any); len(ops) > 65 || ops["others"] == nil {
				t.Errorf("%d operations are named", len(ops))
			}
		}
	}
	if counted != asked {
		t.Errorf("%d refusals are on record, want %d", counted, asked)
	}
}
