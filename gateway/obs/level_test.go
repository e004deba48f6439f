package obs_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
)

// TestFailedCallsAreLoggedByTheirClass: what the gateway, its policy or its Vault got
// wrong is an error, every other failure a warning, and no failure passes as fine.
func TestFailedCallsAreLoggedByTheirClass(t *testing.T) {
	ours := map[call.Code]bool{}
	for _, c := range []call.Code{
		call.Internal, call.AuditUnavailable, call.PolicyError, call.TransformFailed, call.TransformUnavailable,
		call.VaultAuth, call.VaultError, call.OutcomeUnknown,
	} {
		ours[c] = true
	}
	for _, c := range append(call.Codes(), "") {
		var log strings.Builder
		obs.Recorder{Log: slog.New(slog.NewTextHandler(&log, nil)), Meter: obs.NewMeter()}.Record(context.Background(), record(c))
		want := "level=WARN"
		switch {
		case c == "":
			want = "level=INFO"
		case ours[c]:
			want = "level=ERROR"
		}
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q: got %s, want %s", c, &log, want)
		}
	}
}

// TestOneRecordACall: a request whose call is in the log is marked, one without is not,
// and one whose record was below the level is not either.
func TestOneRecordACall(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: true, slog.LevelError: false} {
		rec := obs.Recorder{Log: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})), Meter: obs.NewMeter()}
		ctx, exchange := obs.WithExchange(context.Background())
		if exchange.Recorded() {
			t.Error("it is marked before there was a call")
		}
		rec.Record(ctx, record(""))
		if exchange.Recorded() != want {
			t.Errorf("level %v: got %v", level, exchange.Recorded())
		}
	}
}

// TestSentencesOfErrorsStay: value patterns are for values. The end of one sentence of
// an error and the beginning of the next are no name with its value; in what somebody
// else wrote they still are.
func TestSentencesOfErrorsStay(t *testing.T) {
	dir := t.TempDir()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stderr.Close() })
	l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Stderr: stderr, Redact: func(_ string, dst, text []byte) []byte {
		before, after, found := strings.Cut(string(text), "token: ")
		if !found {
			return append(dst, text...)
		}
		_, rest, _ := strings.Cut(after, " ")
		if after == "" {
			return append(dst, text...)
		}
		return append(dst, before+"token: [redacted] "+rest...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	public := &call.Error{Code: call.VaultAuth, Msg: "Vault does not accept the gateway's own token: check VAULT_TOKEN", Err: errors.New("got token: canary there")}
	l.Server.Error("x", "cause", fmt.Errorf("renew the token: %w", errors.Join(fmt.Errorf("ask for a token: %w", public), errors.New("second"))))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := `renew the token: ask for a token: vault_auth: Vault does not accept the gateway's own token: check VAULT_TOKEN: got token: [redacted] there\nsecond`
	if got := read(t, dir, "server.log"); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLogsRotateAsConfigured: by size and by age, compressed, so many kept.
func TestLogsRotateAsConfigured(t *testing.T) {
	dir := t.TempDir()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	name := filepath.Join(dir, "server.log")
	old := fmt.Sprintf(`{"ts":%q,"msg":"from the day before"}`+"\n", time.Now().UTC().Add(-25*time.Hour).Format("2006-01-02T15:04:05.000000"))
	if err := os.WriteFile(name, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Stderr: null, Rotate: obs.Rotation{MaxBytes: 64 << 10, MaxAge: 24 * time.Hour, Keep: 3, Compress: true}})
	if err != nil {
		t.Fatal(err)
	}
	l.Server.Info("first of today")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	aged, err := filepath.Glob(filepath.Join(dir, "server-*.log.gz"))
	if err != nil || len(aged) != 1 || gunzip(t, aged[0]) != old {
		t.Errorf("got %q, %v: want what was too old in a file of its own", aged, err)
	}
	for range 10 {
		l.Server.Info(strings.Repeat("x", 63<<10))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	full, err := filepath.Glob(filepath.Join(dir, "server-*.log.gz"))
	plain, err2 := filepath.Glob(filepath.Join(dir, "server-*.log"))
	if err != nil || err2 != nil || len(full) != 3 || len(plain) != 0 {
		t.Errorf("got %q and %q, want three compressed files", full, plain)
	}
}

// TestLogsThatAreFullAtTheSameMomentAreKept: the clock stands still.
func TestLogsThatAreFullAtTheSameMomentAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Stderr: os.Stderr, Rotate: obs.Rotation{MaxBytes: 64 << 10, Keep: 100, Compress: true}})
		if err != nil {
			t.Fatal(err)
		}
		const n = 10
		for range n {
			l.Requests.Info(strings.Repeat("x", 63<<10))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		old, err := filepath.Glob(filepath.Join(dir, "requests-*.log.gz"))
		if err != nil || len(old) != n-1 {
			t.Errorf("got %q, %v: want %d files", old, err, n-1)
		}
	})
}

func gunzip(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
