package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/sink"
)

// receiver collects the lines that reach the other system.
type receiver struct {
	mu   sync.Mutex
	seqs []int
	more chan struct{} // has a token when a line came
}

func newReceiver() *receiver { return &receiver{more: make(chan struct{}, 1)} }

func (r *receiver) take(t *testing.T, lines string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(lines) {
		var seq int
		if _, err := fmt.Sscanf(line, `{"seq":%d,`, &seq); err != nil {
			t.Errorf("got a line %q: %v", line, err)
		}
		r.seqs = append(r.seqs, seq)
	}
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *receiver) got() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int(nil), r.seqs...)
}

// await waits until the receiver has the lines from 1 to n, and fails when one came
// before its predecessor; lines may come twice.
func (r *receiver) await(t *testing.T, n int) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		highest := 0
		for _, seq := range r.got() {
			if seq > highest+1 {
				t.Fatalf("line %d came, and nothing between %d and it", seq, highest)
			}
			highest = max(highest, seq)
		}
		if highest == n {
			return
		}
		select {
		case <-r.more:
		case <-limit:
			t.Fatalf("got %d lines in a minute, want %d", highest, n)
		}
	}
}

// line is a record as the audit log offers it.
func line(seq int) []byte {
	kind := "intent"
	if seq%3 == 0 {
		kind = "refusal"
	}
	return fmt.Appendf(nil, `{"seq":%d,"prev":"%064x","time":"2026-11-27T10:00:00.123456789Z","type":%q,"subject":"agent"}`, seq, seq, kind)
}

func offer(s *sink.Sinks, from, to int) {
	for seq := from; seq <= to; seq++ {
		s.Offer(line(seq))
	}
}

// open makes a sink that runs until the test or stop ends it.
func open(t *testing.T, c sink.Config) (s *sink.Sinks, stop func() error) {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Backoff == 0 {
		c.Backoff = time.Millisecond
	}
	s, err := sink.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		<-done
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return s.Close(end)
	})
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

// until waits until a sink's state is as it should be.
func until(t *testing.T, s *sink.Sinks, ok func(sink.Status) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !ok(s.Status()[0]); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("after a minute the state is %+v", s.Status()[0])
		}
	}
}

// blocked is standard output that nobody reads until it is released.
type blocked struct {
	release chan struct{}
	mu      sync.Mutex
	text    bytes.Buffer
}

func (b *blocked) Write(p []byte) (int, error) {
	<-b.release
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// TestOfferNeverWaits: a reader of standard output that has stopped costs the lines
// that memory cannot hold, which are counted, and no call ever waits for it.
func TestOfferNeverWaits(t *testing.T) {
	out := &blocked{release: make(chan struct{})}
	s, stop := open(t, sink.Config{URLs: []string{"stdout"}, Stdout: out, MemoryBytes: 64 << 10})
	const n = 5000
	offer(s, 1, n) // would never return if a line waited
	st := s.Status()[0]
	if st.Memory > 64<<10 || st.Lost == 0 || st.Waiting+int(st.Lost) != n {
		t.Errorf("got %+v, want memory within its bound and every other line counted as lost", st)
	}
	close(out.release)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(out.text.String(), "\n"); got+int(st.Lost) != n {
		t.Errorf("%d lines came and %d are lost, of %d", got, st.Lost, n)
	}
}

// TestWrongSinksAreNamed: every wrong entry is reported, and none repeats what could
// be a credential.
func TestWrongSinksAreNamed(t *testing.T) {
	_, err := sink.New(sink.Config{URLs: []string{
		"http://plain.example/canary", "https://user:canary@h.example/", "syslog+tcp://", "syslog+tls://h.example/canary",
		"https://h.example/#canary", "%zz-canary", "stdout", "https://a.example/x", "https://a.example/x",
	}, TokenFile: "x", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"entry 1: must be", "entry 2: holds a user name", "entry 3: the host is missing", "entry 4: ", "entry 5: ", "entry 6: not a URL", "entry 7: stdout", "entry 9: https://a.example is there twice", "more than one https://"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error repeats a credential: %v", err)
	}
}

// TestSpoolSurvivesARestart: what a sink that is down could not take goes to disk, and
// the next process delivers it before anything new. Half of a line, which a killed
// process can leave, is not delivered.
func TestSpoolSurvivesARestart(t *testing.T) {
	l := listen(t, "")
	address := l.address()
	l.close()
	c := sink.Config{URLs: []string{"syslog+tcp://" + address}, Spool: t.TempDir(), SpoolBytes: 64 << 20, MemoryBytes: 256 << 10}
	s, stop := open(t, c)
	const n = 3000 // three times of what memory holds
	for seq := 1; seq <= n; seq++ {
		s.Offer(line(seq))
		if seq%500 == 0 {
			until(t, s, func(st sink.Status) bool { return st.Memory < 128<<10 })
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(c.Spool, "*", "*.jsonl"))
	if err != nil || len(files) == 0 || len(files) > 40 {
		t.Fatalf("got %d files, %v: want some and not one a line", len(files), err)
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(`{"seq":99999,"half`)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	l = listen(t, address)
	s, stop = open(t, c)
	until(t, s, func(st sink.Status) bool { return st.Waiting > 0 || st.Sent > 0 })
	offer(s, n+1, n+100)
	l.await(t, n+100)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(c.Spool, "*", "*.jsonl")); len(files) > 0 {
		t.Errorf("%d files stay in the spool", len(files))
	}
	if st := s.Status()[0]; st.Lost != 0 || st.Disk != 0 || st.Memory != 0 {
		t.Errorf("got %+v, want nothing lost and nothing kept", st)
	}
}

// TestASmallSpoolIsUsed: what waits in memory is in batches that a spool below a megabyte
// has room for.
func TestASmallSpoolIsUsed(t *testing.T) {
	l := listen(t, "")
	address := l.address()
	l.close()
	const limit = 256 << 10
	s, err := sink.New(sink.Config{URLs: []string{"syslog+tcp://" + address}, Spool: t.TempDir(), SpoolBytes: limit, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for seq := range 512 {
		s.Offer(append(line(seq), bytes.Repeat([]byte{' '}, 4<<10)...)) // they wait before the first attempt
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; _ = s.Close(ctx) })
	until(t, s, func(st sink.Status) bool { return strings.Contains(st.Err, "AUDIT_SPOOL_BYTES") })
	if st := s.Status()[0]; st.Disk < limit/2 || st.Disk > limit {
		t.Errorf("%d bytes are in a spool of %d", st.Disk, limit)
	}
}

// TestSpoolHasItsBound: what fits in memory and spool is delivered in order when the
// receiver is back, and every other line is counted.
func TestSpoolHasItsBound(t *testing.T) {
	l := listen(t, "")
	address := l.address()
	l.close()
	const limit, memory = 256 << 10, 64 << 10
	s, _ := open(t, sink.Config{URLs: []string{"syslog+tcp://" + address}, Spool: t.TempDir(), SpoolBytes: limit, MemoryBytes: memory})
	full := func(st sink.Status) bool { return strings.Contains(st.Err, "AUDIT_SPOOL_BYTES") }
	n := 0
	for s.Status()[0].Lost < 100 {
		n++
		s.Offer(line(n))
		until(t, s, func(st sink.Status) bool { return st.Memory < memory*3/4 || full(st) })
		if st := s.Status()[0]; st.Disk > limit || st.Memory > memory {
			t.Fatalf("after %d lines: got %+v, want no more than %d and %d bytes", n, st, limit, memory)
		}
	}
	st := s.Status()[0]
	if !full(st) || st.Disk < limit/2 {
		t.Errorf("got %+v, want the spool full", st)
	}
	l = listen(t, address)
	until(t, s, func(st sink.Status) bool { return st.Waiting == 0 && st.Up })
	if got := s.Status()[0]; int(got.Sent)+int(st.Lost) != n {
		t.Errorf("%d lines were delivered and %d lost, of %d", got.Sent, st.Lost, n)
	}
	last := 0
	for _, seq := range l.got() {
		if seq < last {
			t.Fatalf("line %d came behind line %d", seq, last)
		}
		last = seq
	}
}
