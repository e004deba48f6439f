package sink

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// FuzzMessage: a line is one syslog message of the length that stands before it, with a
// header that nothing in the line can shape.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"seq":1,"prev":"x","time":"2026-11-27T10:00:00Z","type":"intent","subject":"a"}`))
	f.Add([]byte("\"type\":\"x y\n<13>1 \u2028\",\"time\":\"\x00\""))
	f.Fuzz(func(t *testing.T, line []byte) {
		s := newSyslog("", nil, formatter{})
		size, message, ok := strings.Cut(string(s.appendMessage(nil, line)), " ")
		n, err := strconv.Atoi(size)
		fields := strings.SplitN(message, " ", 8)
		if !ok || err != nil || n != len(message) || len(fields) != 8 || fields[7] != string(line) {
			t.Fatalf("got %q before %q, %v", size, message, err)
		}
		for _, field := range fields[:7] {
			if field == "" || strings.ContainsFunc(field, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("got the header %q", fields[:7])
			}
		}
	})
}

// FuzzReceivers: no URL is repeated in an error, and none that is taken has a credential
// in its name.
func FuzzReceivers(f *testing.F) {
	for _, raw := range []string{"syslog+tcp://h:1", "https://h/p?q#format=cef", "stdout#format=x", "https://u:p@h/", "https://[::1%25]:1/", "https://[fe80::1%25eth0]/", "https://%25", "https://h%2f@x"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parse(raw)
		if err == nil && got.kind != kindStdout && got.name != got.kind+"://"+hostOf(raw) {
			t.Errorf("%q has the name %q", raw, got.name)
		}
	})
}

// hostOf is what stands between the scheme and the path, decoded: an address may have a
// zone.
func hostOf(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest, _ = url.PathUnescape(rest) // of a URL that was taken
	return rest
}
