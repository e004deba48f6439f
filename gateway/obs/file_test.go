package obs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
)

// TestAnEmptiedLogHasNoHole: copytruncate lets the file begin anew.
func TestAnEmptiedLogHasNoHole(t *testing.T) {
	l, dir := newLogs(t, nil)
	name := filepath.Join(dir, "requests.log")
	l.Requests.Info("before")
	if err := errors.Join(l.Reopen(), os.Truncate(name, 0)); err != nil {
		t.Fatal(err)
	}
	l.Requests.Info("after")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, "requests.log"); strings.Contains(got, "\x00") || !strings.Contains(got, "after") || strings.Contains(got, "before") {
		t.Errorf("got %q", got)
	}
}

// TestAnOpenLogThatIsEmptiedHasNoHole: so it does while the file is open.
func TestAnOpenLogThatIsEmptiedHasNoHole(t *testing.T) {
	l, dir := newLogs(t, nil)
	name := filepath.Join(dir, "server.log")
	big := strings.Repeat("x", 100<<10) // more than waits in memory
	l.Server.Info(big)
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	l.Server.Info(big)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, "server.log"); strings.Contains(got, "\x00") || !strings.HasPrefix(got, "{") {
		t.Errorf("got %.40q", got)
	}
}

// TestLogsFollowTheirNames: what was moved is left when the operator says so.
func TestLogsFollowTheirNames(t *testing.T) {
	l, dir := newLogs(t, nil)
	name := filepath.Join(dir, "responses.log")
	l.Responses.Info("before")
	if err := errors.Join(l.Reopen(), os.Rename(name, name+".1"), l.Reopen()); err != nil {
		t.Fatal(err)
	}
	l.Responses.Info("after")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, "responses.log"); !strings.Contains(got, "after") || !strings.Contains(read(t, dir, "responses.log.1"), "before") {
		t.Errorf("got %q", got)
	}
}

// TestFullLogsAreKeptForAWhile: a full file gets another name, and five are kept.
func TestFullLogsAreKeptForAWhile(t *testing.T) {
	l, dir := newLogs(t, nil)
	big := strings.Repeat("x", 6<<20)
	for range 10 {
		l.Requests.Info(big)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "requests-*.log"))
	if st, serr := os.Stat(filepath.Join(dir, "requests.log")); err != nil || serr != nil || st.Size() > 10<<20 || len(old) < 1 || len(old) > 5 {
		t.Errorf("got %q, %v, %v", old, err, serr)
	}
}

// TestARecordAboutACallerIsRedactedForIt: what a caller has read is left out of records
// about it.
func TestARecordAboutACallerIsRedactedForIt(t *testing.T) {
	for _, redacts := range []bool{true, false} {
		dir := t.TempDir()
		stderr, err := os.Create(filepath.Join(dir, "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stderr.Close() })
		c := obs.LogConfig{Dir: dir, Stderr: stderr}
		if redacts {
			c.Redact = func(about string, dst, text []byte) []byte { return append(append(dst, about+"|"...), text...) }
		}
		l, err := obs.NewLogs(c)
		if err != nil {
			t.Fatal(err)
		}
		a := &call.Caller{Tenant: "t", Subject: "a"}
		l.Responses.LogAttrs(t.Context(), slog.LevelWarn, "call", obs.About(a, "path", "p/q"), obs.About(a, "cause", errors.New("x")), slog.Any("other", "y"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{`"path":"p/q"`, `"cause":"x"`, `"other":"y"`}
		if redacts {
			want = []string{`"path":"t/a|p/q"`, `"cause":"t/a|x"`, `"other":"|y"`}
		}
		for _, w := range want {
			if got := read(t, dir, "responses.log"); !strings.Contains(got, w) {
				t.Errorf("redacts %v: got %s, want %s in it", redacts, got, w)
			}
		}
	}
}

// TestOurWordsStay: what was learned from somebody's secret, or looks like one, is
// removed from the texts that others wrote and from nothing else.
func TestOurWordsStay(t *testing.T) {
	dir := t.TempDir()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stderr.Close() })
	l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Stderr: stderr, Redact: func(_ string, dst, text []byte) []byte {
		for _, secret := range []string{"kv.read", "token: every", "authentication refused", "canary"} {
			text = bytes.ReplaceAll(text, []byte(secret), []byte("[redacted]"))
		}
		return append(dst, text...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Server.Warn("authentication refused", "op", "kv.read", "path", "a/canary", obs.Own("route_path", "/canary"), "warning", "no token: every call fails",
		"cause", fmt.Errorf("x: %w", errors.New(`say "canary" to kv.read`)), "list", []string{"canary"}, "data", struct{ A string }{"canary"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"server.log", "stderr"} {
		got := read(t, dir, name)
		for _, want := range []string{`"msg":"authentication refused"`, `"op":"kv.read"`, `"path":"a/[redacted]"`, `"route_path":"/canary"`, `no token: every call`, `x: say \"[redacted]\" to [redacted]`, `"list":["[redacted]"]`, `"data":"{A:[redacted]}"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %s: %s", name, want, got)
			}
		}
	}
}
