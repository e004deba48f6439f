package vault_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// answering makes a client of a stand-in whose every answer has a text of so many bytes:
// real Vault does not let itself be counted.
func answering(t *testing.T, size int) *vault.Client {
	return stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"request_id":"1","data":{"version":1,"text":"`+strings.Repeat("x", size)+`"}}`)
	})
}

// TestLargeAnswersAreReadFewAtATime: those of one caller wait for each other, those of
// another do not wait for them.
func TestLargeAnswersAreReadFewAtATime(t *testing.T) {
	cl := answering(t, 900_000)
	const each, calls = 4, 12
	entered, release := make(chan struct{}, calls), make(chan struct{})
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			first := sync.OnceFunc(func() { entered <- struct{}{}; <-release })
			s := open(t, cl, grant(caller("greedy"), "kv.read"))
			defer s.Close()
			s.Within(func(int64) error { first(); return nil })
			if err := s.Get(t.Context(), "data/x", nil, &versioned{}); err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
	for range each {
		<-entered
	}
	s := open(t, cl, grant(caller("other"), "kv.read"))
	defer s.Close()
	if err := s.Get(t.Context(), "data/x", nil, &versioned{}); err != nil {
		t.Errorf("another caller: %v", err)
	}
	if n := len(entered); n != 0 {
		t.Errorf("%d more large answers of one caller are read beside %d", n, each)
	}
	close(release)
	wg.Wait()
}

// TestALargeAnswerTakesRoomBeforeItIsRead: without room a read is refused with what the
// budget says, small answers take none, and what was changed in Vault is reported.
func TestALargeAnswerTakesRoomBeforeItIsRead(t *testing.T) {
	overBoth(t, testALargeAnswerTakesRoomBeforeItIsRead)
}

func testALargeAnswerTakesRoomBeforeItIsRead(t *testing.T) {
	full := call.Errorf(call.RateLimited, "too many bytes")
	for _, c := range []struct {
		name  string
		size  int
		room  int64
		put   bool
		code  call.Code
		taken int64 // at most
	}{
		{name: "small", size: 20_000},
		{name: "large, fits", size: 900_000, room: 3_000_000, taken: 3_000_000},
		{name: "large, no room", size: 900_000, room: 500_000, code: call.RateLimited, taken: 500_000},
		{name: "a change", size: 900_000, put: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, answering(t, c.size), grant(caller("a"), "kv.write"))
			defer s.Close()
			var taken atomic.Int64
			s.Within(func(n int64) error {
				if taken.Load()+n > c.room {
					return full
				}
				taken.Add(n)
				return nil
			})
			do := func(ctx context.Context) error {
				if c.put {
					return s.Put(ctx, "data/x", map[string]any{}, &versioned{})
				}
				return s.Get(ctx, "data/x", nil, &versioned{})
			}
			if err := do(t.Context()); call.AsError(err) != nil && call.AsError(err).Code != c.code || err == nil && c.code != "" {
				t.Errorf("got %v, want %q", err, c.code)
			}
			if n := taken.Load(); n > c.taken || c.taken > 0 && n == 0 {
				t.Errorf("%d bytes were taken, want at most %d", n, c.taken)
			}
		})
	}
}

// TestALargeAnswerWithoutRoomIsLarge: Vault has worked on it all the same, so beside others
// its caller's next ones come one at a time.
func TestALargeAnswerWithoutRoomIsLarge(t *testing.T) {
	var inside, most atomic.Int64
	entered, leave := make(chan struct{}), make(chan struct{})
	text := `{"request_id":"1","data":{"version":1,"text":"` + strings.Repeat("x", 100_000) + `"}}`
	cl := stub(t, vault.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/small") {
			_, _ = io.WriteString(w, `{"request_id":"1","data":{"version":1,"text":"x"}}`)
			return
		}
		most.Store(max(most.Load(), inside.Add(1)))
		entered <- struct{}{}
		<-leave
		inside.Add(-1)
		_, _ = io.WriteString(w, text)
	})
	other := func() {
		s := open(t, cl, grant(caller("other"), "kv.read"))
		defer s.Close()
		if err := s.Get(t.Context(), "data/small", nil, &versioned{}); err != nil {
			t.Errorf("another caller: %v", err)
		}
	}
	other()
	const calls = 12
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			s := open(t, cl, grant(caller("greedy"), "kv.read"))
			defer s.Close()
			s.Within(func(int64) error { return call.Errorf(call.RateLimited, "too many bytes") })
			if err := s.Get(t.Context(), "data/large", nil, &versioned{}); !call.Is(err, call.RateLimited) {
				t.Errorf("got %v, want rate_limited", err)
			}
		})
	}
	for range calls {
		<-entered
		other()
		leave <- struct{}{}
	}
	wg.Wait()
	if n := most.Load(); n > 2 {
		t.Errorf("Vault had %d of them at once, want two at first and one then", n)
	}
}

// endless answers what has been asked for with a JSON string that never ends, and tells
// how many bytes of it were taken.
func endless(t *testing.T, path, begin string) (cl *vault.Client, taken *atomic.Int64, ended chan struct{}) {
	t.Helper()
	taken, ended = new(atomic.Int64), make(chan struct{})
	cl = stub(t, vault.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			_, _ = io.WriteString(w, answer)
			return
		}
		defer close(ended)
		_, _ = io.WriteString(w, begin)
		for piece := strings.Repeat("x", 64<<10); taken.Load() < 256<<20; {
			n, err := io.WriteString(w, piece)
			taken.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	return cl, taken, ended
}

// TestAnswersWithoutAnEndAreGivenUp: whatever the gateway asks Vault for, an answer that
// is far longer than it can be is not read, and what was asked ends at once.
func TestAnswersWithoutAnEndAreGivenUp(t *testing.T) {
	const between = 16 << 20 // bytes that may be on their way
	begin := `{"request_id":"1","data":{"version":1,"text":"`
	for name, c := range map[string]struct {
		path, begin string
		most        int64
		ask         func(*vault.Client) error
		code        call.Code
	}{
		"how Vault is": {"/v1/sys/health", `{"initialized":true,"sealed":false,"version":"`, 64 << 10, func(cl *vault.Client) error { return cl.Ready(t.Context()) }, call.VaultUnavailable},
		"a change":     {"/v1/secret/data/x", begin, 1 << 20, func(cl *vault.Client) error { return writeAt(t, cl, "data/x") }, call.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			cl, taken, ended := endless(t, c.path, c.begin)
			if err := c.ask(cl); !call.Is(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
			<-ended
			if n := taken.Load(); n > c.most+between {
				t.Errorf("%d MiB were taken of an answer that may have %d KiB", n>>20, c.most>>10)
			}
		})
	}
}

func writeAt(t *testing.T, cl *vault.Client, path string) error {
	s := open(t, cl, grant(caller("a"), "kv.write"))
	defer s.Close()
	return s.Put(t.Context(), path, map[string]any{}, &versioned{})
}

// TestALargeAnswerIsUnwrapped: what is opened may be as long as any answer, although
// opening it changes something.
func TestALargeAnswerIsUnwrapped(t *testing.T) {
	const size = 3 << 20
	cl := stub(t, vault.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/wrapping/wrap" {
			_, _ = io.WriteString(w, `{"wrap_info":{"token":"w","accessor":"a","ttl":60}}`)
			return
		}
		_, _ = io.WriteString(w, `{"request_id":"1","data":{"text":"`+strings.Repeat("x", size)+`"}}`)
	})
	s := open(t, cl, grant(caller("a"), "kv.read"))
	defer s.Close()
	if _, err := s.Wrap(t.Context(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if raw, err := s.Unwrap(t.Context(), "w"); err != nil || len(raw) < size {
		t.Errorf("got %d bytes, %v", len(raw), err)
	}
}
