package obs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
)

// TestLinesSayWhatSlogSays: a line has the members and values that slog's own handler
// writes, whatever an attribute holds, under the names of this log.
func TestLinesSayWhatSlogSays(t *testing.T) {
	l, dir := newLogs(t, nil)
	var text strings.Builder
	theirs := slog.New(slog.NewJSONHandler(&text, nil)).With("logger", "portcullis.server")
	for _, v := range []any{
		"plain", "a\"\\\n\x00\x7f<é>\u2028", "", 7, -7, uint64(math.MaxUint64), 1.5, math.NaN(), true, time.Second, time.Unix(1, 5).UTC(),
		nil, errors.New("a \"cause\""), (*call.Error)(nil), error((*call.Error)(nil)),
		[]string{"x", "y"},
		[]int(nil),
		map[string]any{"a": 1},
		struct{ A int }{1},
		call.Secret("canary"), call.Errorf(call.Internal, "m"), func() {}, json.RawMessage(`{"a":[1]}`),
	} {
		l.Server.Warn("what \"happened\"", "k", v, "last", 1)
		theirs.Warn("what \"happened\"", "k", v, "last", 1)
		l.Server.With("k", v).Info("with")
		theirs.With("k", v).Info("with")
	}
	l.Server.Info("odd", slog.Attr{}, slog.Group("g"))
	theirs.Info("odd", slog.Attr{}, slog.Group("g"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(read(t, dir, "server.log"), "\n"), strings.Split(text.String(), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range got[:len(got)-1] {
		ours, own := map[string]any{}, map[string]any{}
		if err := errors.Join(json.Unmarshal([]byte(got[i]), &ours), json.Unmarshal([]byte(want[i]), &own)); err != nil {
			t.Errorf("%s: %v", got[i], err)
		}
		if ours["ts"] == nil || ours["lvl"] != own["level"] {
			t.Errorf("%s: no time, or another level than in %s", got[i], want[i])
		}
		for _, k := range []string{"ts", "lvl", "level", "time"} {
			delete(ours, k)
			delete(own, k)
		}
		if !reflect.DeepEqual(ours, own) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	if strings.Contains(read(t, dir, "server.log"), "canary") {
		t.Error("a secret is in the log")
	}
}

// broken panics with a secret whatever is asked of it.
type broken struct{}

func (broken) Error() string                { panic("canary") }
func (broken) MarshalJSON() ([]byte, error) { panic("canary") }

// TestAValueThatPanicsIsNamed: a method that panics costs neither the record nor its writer,
// with a redactor and without.
func TestAValueThatPanicsIsNamed(t *testing.T) {
	echo := func(_ string, dst, text []byte) []byte { return append(dst, text...) }
	for _, redact := range []func(string, []byte, []byte) []byte{nil, echo} {
		dir := t.TempDir()
		l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Level: slog.LevelInfo, Stderr: os.Stderr, Redact: redact})
		if err != nil {
			t.Fatal(err)
		}
		l.Responses.Info("x", "a", broken{}, "b", (*call.Error)(nil), obs.About(&call.Caller{}, "c", errors.Join(broken{})), slog.Group("d", "e", broken{}))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "responses.log"))
		if want := `"a":"!PANIC: obs_test.broken","b":"<nil>","c":"!PANIC: *errors.joinError","d.e":"!PANIC: obs_test.broken"}`; err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("got %s, %v, want %s", raw, err, want)
		}
	}
}

// TestAGroupIsInTheNames: what is in a group has its name before its own, and is redacted.
func TestAGroupIsInTheNames(t *testing.T) {
	dir := t.TempDir()
	l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Level: slog.LevelInfo, Stderr: os.Stderr, Redact: func(_ string, dst, text []byte) []byte {
		return append(dst, strings.ReplaceAll(string(text), "canary", "*")...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Responses.WithGroup("a").With("b", "canary").Info("x", slog.Group("c", "d", "canary", "e", 1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "responses.log"))
	if want := `"logger":"portcullis.responses","a.b":"*","a.c.d":"*","a.c.e":1}`; err != nil || !strings.Contains(string(raw), want) {
		t.Error(fmt.Sprintf("got %s, want %s", raw, want), err)
	}
}
