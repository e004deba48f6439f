package inspect_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/retry"
)

// lines are an intent and an outcome at a time.
func lines(seq int, at time.Time, who, op, path, more string) string {
	id := fmt.Sprintf("d%d", seq)
	mount, below, _ := strings.Cut(path, "/")
	effect := map[bool]string{true: "issue", false: "read"}[strings.Contains(op, "issue")]
	common := fmt.Sprintf(`"time":%q,"request_id":"r%d","decision_id":%q,"transport":"mcp","subject":%q,"op":%q,"effect":%q,"mount":%q,"path":%q`,
		at.Format(time.RFC3339Nano), seq, id, who, op, effect, mount, below)
	return fmt.Sprintf(`{"seq":%d,"type":"intent",%s}`+"\n"+`{"seq":%d,"type":"outcome",%s,%s}`+"\n", seq, common, seq+1, common, more)
}

// week is evidence of seven days, a file a day, of which the older ones are compressed.
func week(t *testing.T) (files []string, start time.Time) {
	t.Helper()
	dir := t.TempDir()
	start = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	seq := 1
	for day := range 7 {
		var text strings.Builder
		for hour := range 24 {
			at := start.Add(time.Duration(24*day+hour) * time.Hour)
			who := []string{"alice", "bob"}[hour%2]
			text.WriteString(lines(seq, at, who, "kv.read", "secret/app", `"code":"ok","deliver":"plain","version":`+fmt.Sprint(1+day/4)))
			seq += 2
		}
		name := filepath.Join(dir, fmt.Sprintf("audit-%012d.jsonl", seq-48))
		raw := []byte(text.String())
		if day < 5 {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			_, err := w.Write(raw)
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			name, raw = name+".gz", z.Bytes()
		}
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	return files, start
}

// TestWhoReadItLastTuesday asks over rotated and compressed files.
func TestWhoReadItLastTuesday(t *testing.T) {
	files, start := week(t)
	var out bytes.Buffer
	n, err := inspect.Query(&out, inspect.Files{Names: files}, inspect.Filter{
		Since: start.Add(4 * 24 * time.Hour), Until: start.Add(5*24*time.Hour - time.Second), Who: "bob", Path: "kv://secret/app", Op: "kv.*", Code: "ok",
	}, false)
	if err != nil || n != 12 || strings.Count(out.String(), "bob") != 12 || strings.Contains(out.String(), "alice") || !strings.Contains(out.String(), "secret/app@2") {
		t.Errorf("got %d records, %v:\n%s", n, err, &out)
	}
	out.Reset()
	if n, err = inspect.Query(&out, inspect.Files{Names: files}, inspect.Filter{Decision: "d1"}, true); err != nil || n != 2 {
		t.Errorf("got %d records, %v", n, err)
	}
	for line := range strings.Lines(out.String()) {
		var r inspect.Record
		if json.Unmarshal([]byte(line), &r) != nil || r.DecisionID != "d1" {
			t.Errorf("got %s", line)
		}
	}
}

// TestExposureNamesTheReceivers: a planted leak has exactly the receivers that it has.
func TestExposureNamesTheReceivers(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	text := lines(1, at, "writer", "kv.write", "secret/app", `"code":"ok","deliver":"plain","version":3`) +
		lines(3, at, "alice", "kv.read", "secret/app", `"code":"ok","deliver":"plain","version":3`) +
		lines(5, at, "bob", "kv.read", "secret/app", `"code":"ok","deliver":"masked","version":3`) +
		lines(7, at, "carol", "kv.read", "secret/app", `"code":"ok","deliver":"wrapped"`) +
		lines(9, at, "dave", "kv.read", "secret/app", `"code":"not_found","deliver":"plain"`) +
		lines(11, at, "erin", "kv.read", "secret/app", `"code":"ok","deliver":"plain","version":2`) +
		lines(13, at, "frank", "kv.read", "secret/app/below", `"code":"ok","deliver":"plain","version":3`) +
		lines(15, at, "grace", "kv.metadata", "secret/app", `"code":"ok","deliver":"plain","version":3`)
	text += strings.SplitAfter(lines(17, at, "heidi", "kv.read", "secret/app", `"code":"ok"`), "\n")[0] // killed before its outcome
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := inspect.Exposure(inspect.Files{Names: []string{name}}, "secret/app@3", at)
	if err != nil {
		t.Fatal(err)
	}
	who := func(list []inspect.Receiver) (names []string) {
		for _, r := range list {
			names = append(names, r.Who)
		}
		return names
	}
	for form, c := range map[string]struct {
		got  []inspect.Receiver
		want []string
	}{
		"plain": {x.Plain, []string{"alice"}}, "masked": {x.Masked, []string{"bob"}}, "wrapped": {x.Wrapped, []string{"carol"}},
		"written": {x.Written, []string{"writer"}}, "unknown": {x.Unknown, []string{"heidi"}},
	} {
		if !slices.Equal(who(c.got), c.want) {
			t.Errorf("%s: got %v, want %v", form, who(c.got), c.want)
		}
	}
	if len(x.Rotate) != 1 || !strings.Contains(x.Rotate[0], "version 3") {
		t.Errorf("left to do: %q", x.Rotate)
	}
}

// TestPersonsBehindOneAgentAreToldApart: as receivers, in the table and by --who.
func TestPersonsBehindOneAgentAreToldApart(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	read := func(seq int, behalf string) string {
		return lines(seq, at, "agent", "kv.read", "secret/app", `"code":"ok","deliver":"plain","version":3`+behalf)
	}
	text := read(1, "") + read(3, `,"on_behalf_of":"alice"`) + read(5, `,"on_behalf_of":"alice","on_behalf_of_tenant":"acme"`) + read(7, `,"on_behalf_of":"alice"`)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files := inspect.Files{Names: []string{name}}
	x, err := inspect.Exposure(files, "secret/app", at)
	if err != nil || len(x.Plain) != 3 || x.Plain[0].OnBehalfOf != "" || x.Plain[1].OnBehalfOf != "acme/alice" || x.Plain[2].OnBehalfOf != "alice" || x.Plain[2].Count != 2 {
		t.Errorf("got %+v, %v", x.Plain, err)
	}
	for who, want := range map[string]int{"acme/alice": 1, "alice": 3, "agent": 4} {
		var out bytes.Buffer
		n, err := inspect.Query(&out, files, inspect.Filter{Who: who, Code: "ok"}, false)
		if err != nil || n != want || who == "acme/alice" && !strings.Contains(out.String(), "agent for acme/alice") {
			t.Errorf("%s: got %d, %v\n%s", who, n, err, &out)
		}
	}
}

// TestANameCannotHideAnother: whoever may write makes a secret whose name is the question
// about a version of another one. Both are told of.
func TestANameCannotHideAnother(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	text := lines(1, at, "alice", "kv.read", "secret/app", `"code":"ok","deliver":"plain","version":3`) +
		lines(3, at, "mallory", "kv.read", "secret/app@3", `"code":"ok","deliver":"plain","version":9`) +
		lines(5, at, "bob", "kv.read", "secret/app", `"code":"ok","deliver":"plain","version":2`)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := inspect.Exposure(inspect.Files{Names: []string{name}}, "secret/app@3", at)
	if err != nil || len(x.Plain) != 2 || x.Plain[0].Who != "alice" || x.Plain[1].Who != "mallory" || x.Newest != 3 {
		t.Errorf("got %+v, %v", x, err)
	}
}

// TestEveryEnginesCredentialsAreFollowed: what is issued lives until it is revoked.
func TestEveryEnginesCredentialsAreFollowed(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	issued := `"code":"ok","deliver":"plain","lease_id_sha256":"x","expires":"2026-11-21T00:00:00Z"`
	text := lines(1, at, "alice", "creds.issue", "aws/deploy", issued) +
		lines(3, at, "bob", "creds.issue", "aws/deploy", strings.Replace(issued, `"x"`, `"y"`, 1)) +
		lines(5, at, "alice", "creds.revoke", "", `"code":"ok","lease_id_sha256":"x"`)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := inspect.Exposure(inspect.Files{Names: []string{name}}, "aws/deploy", at)
	if err != nil || len(x.Plain) != 2 || len(x.Leases) != 1 || x.Leases[0].Who != "bob" {
		t.Errorf("got %+v, %v", x, err)
	}
}

// TestNamesCannotMakeUpColumns: a row has as many words as columns, whatever callers call
// themselves and their secrets.
func TestNamesCannotMakeUpColumns(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	forged := `app  ok  plain  d9  r9  rest\n2026-11-20 00:00:00.000Z  7  outcome  alice\u001b[1A\u202e\u009b2K`
	text := fmt.Sprintf(`{"seq":1,"type":"outcome","time":%q,"subject":"mallory","op":"kv.read","mount":"secret","path":"%s","client_name":"%s","client_version":"1","code":"not_found"}`+"\n",
		at.Format(time.RFC3339), forged, forged)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := inspect.Query(&out, inspect.Files{Names: []string{name}}, inspect.Filter{}, false); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if strings.Count(got, "\n") != 2 || strings.ContainsAny(got, "\x1b\u202e\u009b") || !strings.Contains(got, `  "secret/app  ok`) || !strings.Contains(got, `"  not_found  `) {
		t.Errorf("got %q", got)
	}
	for in, want := range map[string]string{"": "-", "-": `"-"`, "secret/app": "secret/app", "é": "é", `say "x"`: `"say \"x\""`, "a\u2066b": `"a\u2066b"`} {
		if s := inspect.Shown(in); s != want {
			t.Errorf("%q: got %s, want %s", in, s, want)
		}
	}
}

// TestTailKeepsNoEndlessLine: a line that never ends costs no memory, and what comes
// behind it is shown.
func TestTailKeepsNoEndlessLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", 9<<20)
	if err := os.WriteFile(name, []byte(long+"\n"+lines(1, at, "alice", "kv.read", "secret/a", `"code":"ok"`)+long), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &watched{want: `"seq":4`, seen: stop}
	go func() {
		retry.Sleep(ctx, time.Second) // the end that grows is read by then, or is read now
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(long + "\n" + lines(3, at, "bob", "kv.read", "secret/a", `"code":"ok"`))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}()
	err := inspect.Tail{File: name, Last: 10, Follow: true, JSON: true, Every: 10 * time.Millisecond}.Run(ctx, out)
	if got := out.String(); err != nil || strings.Count(got, "\n") != 4 || strings.Contains(got, "xxx") {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// watched calls seen when a text has been written to it.
type watched struct {
	bytes.Buffer
	want string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.want) {
		w.seen()
	}
	return n, err
}

// TestLeasesThatLive: what was revoked or has ended is not listed.
func TestLeasesThatLive(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	lease := func(id string, end time.Duration) string {
		return fmt.Sprintf(`"code":"ok","deliver":"plain","lease_id_sha256":%q,"user":"u-%s","expires":%q`, id, id, at.Add(end).Format(time.RFC3339))
	}
	text := lines(1, at, "alice", "db.issue_creds", "database/ro", lease("a", time.Hour)) +
		lines(3, at, "alice", "db.issue_creds", "database/ro", lease("b", time.Hour)) +
		lines(5, at, "bob", "db.issue_creds", "database/ro", lease("c", time.Minute)) +
		lines(7, at, "bob", "db.issue_creds", "database/ro", lease("d", time.Minute)) +
		lines(9, at, "alice", "db.revoke", "", `"code":"ok","lease_id_sha256":"b"`) + // at no path of its own
		lines(11, at, "bob", "db.renew", "database/ro", lease("d", time.Hour))
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := inspect.Exposure(inspect.Files{Names: []string{name}}, "database/ro", at.Add(30*time.Minute))
	if err != nil || len(x.Leases) != 2 || x.Leases[0].SHA256 != "a" || x.Leases[1].SHA256 != "d" || len(x.Plain) != 2 {
		t.Errorf("got %+v, %v", x.Leases, err)
	}
}

// TestTailGoesOnOverRotations: no line is lost when the file is moved away or cut.
func TestTailGoesOnOverRotations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path})
	l.Upkeep(audit.Upkeep{ID: "upkeep-0", Method: "GET", Path: "first"})
	ctx, stop := context.WithCancel(t.Context())
	seen := make(chan string, 100)
	done := make(chan error)
	go func() {
		done <- inspect.Tail{File: path, Last: 1, Follow: true, JSON: true, Every: time.Millisecond, Want: inspect.Filter{Type: "upkeep"}}.Run(ctx, writer(func(p []byte) {
			r, err := inspect.ParseRecord(p)
			if err != nil {
				t.Error(err)
			}
			seen <- r.Path
		}))
	}()
	want := []string{"first", "second", "third"}
	for i, path2 := range want {
		if i > 0 {
			if err := errors.Join(os.Rename(path, fmt.Sprint(path, i)), l.Reopen()); err != nil {
				t.Fatal(err)
			}
			l.Upkeep(audit.Upkeep{ID: fmt.Sprint("upkeep-", i), Method: "GET", Path: path2})
		}
		if got := <-seen; got != path2 {
			t.Errorf("got %s, want %s", got, path2)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
