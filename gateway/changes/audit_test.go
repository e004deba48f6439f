package changes_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// audited is an audit record as Vault writes it.
func audited(kind, operation, path, more string) string {
	return fmt.Sprintf(`{"time":"2026-01-01T00:00:00Z","type":%q,"auth":{"accessor":"hmac-sha256:1"},"request":{"id":"1","operation":%q,`+
		`"mount_type":"kv","mount_point":"secret/","path":%q,"namespace":{"id":"root"}},"response":{"mount_type":"kv","data":{"version":7%s}}}`, kind, operation, path, more)
}

func TestAuditRecords(t *testing.T) {
	for _, tc := range []struct{ name, line, want string }{
		{"a write", audited("response", "update", "secret/data/a/b", ""), "kv.write a/b 7"},
		{"a first write", audited("response", "create", "secret/data/a/b", ""), "kv.write a/b 7"},
		{"a patch", audited("response", "patch", "secret/data/a/b", ""), "kv.patch a/b 7"},
		{"a deletion", audited("response", "delete", "secret/data/a/b", ""), "kv.delete a/b 7"},
		{"deleted versions", audited("response", "update", "secret/delete/a/b", ""), "kv.delete a/b 0"},
		{"undeleted versions", audited("response", "update", "secret/undelete/a/b", ""), "kv.undelete a/b 0"},
		{"destroyed versions", audited("response", "update", "secret/destroy/a/b", ""), "kv.destroy a/b 0"},
		{"all of it deleted", audited("response", "delete", "secret/metadata/a/b", ""), " a/b 0"},
		{"a version that is hashed", strings.Replace(audited("response", "update", "secret/data/a/b", ""), "7", `"hmac-sha256:x"`, 1), "kv.write a/b 0"},
		{"a request", audited("request", "update", "secret/data/a/b", ""), ""},
		{"a failure", strings.Replace(audited("response", "update", "secret/data/a/b", ""), `"type"`, `"error":"permission denied","type"`, 1), ""},
		{"a failure in the data", audited("response", "update", "secret/data/a/b", `,"error":"hmac-sha256:x"`), ""},
		{"a read", audited("response", "read", "secret/data/a/b", ""), ""},
		{"a list", audited("response", "list", "secret/metadata/a/", ""), ""},
		{"another mount", audited("response", "update", "other/data/a/b", ""), ""},
		{"a mount that begins alike", audited("response", "update", "secret2/data/a/b", ""), ""},
		{"another namespace", strings.Replace(audited("response", "update", "secret/data/a/b", ""), `"id":"root"`, `"path":"team/"`, 1), ""},
		{"an unclean path", audited("response", "update", "secret/data/a/../b", ""), ""},
		{"the mount's configuration", audited("response", "update", "secret/config", ""), ""},
		{"nonsense", `{"type":"response","secret":`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := events.New(events.Config{Allow: yes})
				r := open(t, l, caller("x"), events.Filter{Topics: []events.Topic{{Mount: "secret", Below: true}}}, "")
				w := changes.NewAuditRecords(changes.NewDeduper(l), "secret", "").NewStream()
				for part := range strings.SplitSeq("\n"+tc.line+"\n", ",") { // records come in parts
					if _, err := fmt.Fprint(w, part+map[bool]string{true: "", false: ","}[strings.HasSuffix(part, "\n")]); err != nil {
						t.Fatal(err)
					}
				}
				got := ""
				if e, _, err := r.Next(t.Context(), 3*time.Second); err == nil {
					got = fmt.Sprint(e.Op, " ", e.Path, " ", e.Version)
					if e.Source != events.FromAudit || e.Subject != "" {
						t.Errorf("got %+v", e)
					}
				}
				if got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
			})
		})
	}
}

// TestAuditRecordsTellsOnce holds that a change through the gateway is told once, whichever
// word of it comes first, and a change by somebody else beside it as well.
func TestAuditRecordsTellsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		r := open(t, l, caller("x"), below("a"), "")
		w := changes.NewAuditRecords(changes.NewDeduper(l), "secret", "").NewStream()
		vault := func() { _, _ = fmt.Fprintln(w, audited("response", "update", "secret/data/a/b", "")) }
		ours := func() { l.Publish(change("a/b")) }
		for name, tc := range map[string]struct {
			do   []func()
			want map[events.Source]int
		}{
			"vault first":         {[]func(){vault, ours}, map[events.Source]int{"gateway": 1}},
			"ours first":          {[]func(){ours, vault}, map[events.Source]int{"gateway": 1}},
			"somebody else":       {[]func(){vault}, map[events.Source]int{"audit": 1}},
			"ours and another's":  {[]func(){vault, ours, vault}, map[events.Source]int{"gateway": 1, "audit": 1}},
			"two of ours":         {[]func(){vault, ours, ours, vault}, map[events.Source]int{"gateway": 2}},
			"ours, and too late":  {[]func(){ours, func() { time.Sleep(time.Minute) }, vault}, map[events.Source]int{"gateway": 1, "audit": 1}},
			"two of other people": {[]func(){vault, vault}, map[events.Source]int{"audit": 2}},
		} {
			for _, f := range tc.do {
				f()
			}
			got := map[events.Source]int{}
			for {
				e, _, err := r.Next(t.Context(), 5*time.Second)
				if err != nil {
					break
				}
				got[e.Source]++
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("%s: got %v, want %v", name, got, tc.want)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestAuditRecordsLongRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		r := open(t, l, caller("x"), below("a"), "")
		w := changes.NewAuditRecords(changes.NewDeduper(l), "secret", "").NewStream()
		_, _ = fmt.Fprintln(w, audited("response", "update", "secret/data/a/long", `,"x":"`+strings.Repeat("x", 5<<20)+`"`))
		_, _ = fmt.Fprintln(w, audited("response", "update", "secret/data/a/next", ""))
		if e, _, err := r.Next(t.Context(), 5*time.Second); err != nil || e.Path.String() != "a/next" {
			t.Errorf("got %v %v", e.Path, err)
		}
	})
}

// lines collects what is written.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

func TestFollow(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	add := func(s string) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	out, done := make(lines), make(chan error)
	go func() { done <- changes.Follow(ctx, name, out) }()
	for heard := false; !heard; { // it has begun
		add("one\n")
		select {
		case <-out:
			heard = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, tc := range []struct {
		do   func() error
		want string
	}{
		{func() error { add("two\n"); return nil }, "two\n"},
		{func() error { add("late\n"); err := os.Rename(name, name+".1"); add("three\n"); return err }, "late\n"},
		{func() error { return nil }, "three\n"},
		{func() error { err := os.Truncate(name, 0); add("4\n"); return err }, "4\n"},
	} {
		if err := tc.do(); err != nil {
			t.Fatal(err)
		}
		got := <-out
		for strings.HasPrefix(got, "one\n") { // some more of the beginning
			if got = strings.ReplaceAll(got, "one\n", ""); got == "" {
				got = <-out
			}
		}
		if got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
