package sink_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/sink"
)

// numbered is a format for tests: the number of the line in words, and an error for every
// tenth.
func numbered(dst []byte, format string, line []byte) ([]byte, error) {
	var seq int
	if _, err := fmt.Sscanf(string(line), `{"seq":%d,`, &seq); err != nil || seq%10 == 0 {
		return dst, errors.Join(err, errors.New("no event"))
	}
	return fmt.Appendf(dst, "%s event %d", format, seq), nil
}

// safe is a buffer that is written and read at once.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// TestASinkHasItsFormat: each line becomes an event where the sink has a format, and what
// cannot become one comes as it is.
func TestASinkHasItsFormat(t *testing.T) {
	out := &safe{}
	s, stop := open(t, sink.Config{URLs: []string{"stdout#format=words"}, Formats: []string{"words"}, Format: numbered, Stdout: out})
	offer(s, 1, 30)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.b.String()), "\n")
	if len(lines) != 30 || lines[0] != "words event 1" || !strings.HasPrefix(lines[9], `{"seq":10,`) || lines[28] != "words event 29" {
		t.Errorf("got %q", lines)
	}
}

// TestFormatsAreNamed: a format that there is not, or for what has none, is an error that
// repeats nothing.
func TestFormatsAreNamed(t *testing.T) {
	for url, want := range map[string]string{
		"stdout#format=canary": "must be one of words", "stdout#canary": "behind # stands", "https://h.example/x#format=": "behind # stands",
	} {
		_, err := sink.New(sink.Config{URLs: []string{url}, Formats: []string{"words"}, Format: numbered, Stdout: &safe{}, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", url, err)
		}
	}
	if _, err := sink.New(sink.Config{URLs: []string{"stdout#format=words"}, Stdout: &safe{}}); err == nil || !strings.Contains(err.Error(), "has no format") {
		t.Errorf("without formats: got %v", err)
	}
}

// TestTwoSinksOfOneHostAreTold: metrics and states have a name for each.
func TestTwoSinksOfOneHostAreTold(t *testing.T) {
	s, err := sink.New(sink.Config{URLs: []string{"https://h.example/a", "https://h.example/b", "https://h.example/b#format=words"}, Formats: []string{"words"}, Format: numbered})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	s.Gauges(func(name string, _ func() float64) {
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
	})
	if len(seen) != 12 {
		t.Errorf("got %d gauges, want four for each sink", len(seen))
	}
}
