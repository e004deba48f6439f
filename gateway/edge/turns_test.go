package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
)

// TestLargeRequestsAreWorkedOnInTurns: while one caller's large body is worked on, small
// requests pass, and large ones wait. One that waits for somebody else itself lets the
// next one be worked on, and comes back behind those that wait.
func TestLargeRequestsAreWorkedOnInTurns(t *testing.T) {
	g := &gate.Gate{Total: 1, Each: 1, Queue: 10, Wait: time.Minute}
	e := newEdge(func(c *edge.Config) {
		c.Work, c.MaxBody = g, 1<<20
		c.Authenticate = func(r *http.Request) (*call.Caller, error) {
			return &call.Caller{Subject: r.Header.Get("X-API-Key")}, nil
		}
	})
	began, away := make(chan string, 10), make(chan bool)
	goOn := map[string]chan bool{"a1": make(chan bool), "a2": make(chan bool), "b1": make(chan bool), "small": make(chan bool, 1)}
	e.Handle("POST", "/work/:id", func(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
		if _, err := edge.ReadBody(r); err != nil {
			t.Error(err)
		}
		id := r.PathValue("id")
		began <- id
		if wait := <-goOn[id]; wait {
			back := gate.Away(r.Context())
			<-away
			back()
		}
		_, _ = io.WriteString(w, "done")
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	answered := make(chan int, 10)
	post := func(key, id string, size int) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/work/"+id, strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("X-API-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}
	waiting := func(n int) {
		for _, now := g.Load(); now != n; _, now = g.Load() {
			runtime.Gosched()
		}
	}
	next := func(want string) {
		t.Helper()
		if got := <-began; got != want {
			t.Fatalf("%s is worked on, want %s", got, want)
		}
	}
	go post("a", "a1", 100<<10)
	next("a1")
	go post("a", "a2", 100<<10)
	waiting(1)
	go post("b", "b1", 100<<10)
	waiting(2)
	goOn["small"] <- false
	post("b", "small", 100)
	next("small")
	goOn["a1"] <- true // a1 waits for somebody else, so the next one is worked on
	next("a2")
	goOn["a2"] <- false
	next("b1")
	away <- true // and waits for its turn behind b1
	waiting(1)
	goOn["b1"] <- false
	for range 4 {
		if got := <-answered; got != http.StatusOK {
			t.Errorf("answered %d", got)
		}
	}
	if in, waiting := g.Load(); in != 0 || waiting != 0 {
		t.Errorf("%d worked on, %d waiting at the end", in, waiting)
	}
}

// TestATurnThatDoesNotCome is refused, and nothing has begun.
func TestATurnThatDoesNotCome(t *testing.T) {
	g := &gate.Gate{Total: 1, Each: 1, Queue: 10, Wait: time.Millisecond}
	if err := g.Enter(t.Context(), "somebody"); err != nil {
		t.Fatal(err)
	}
	e := newEdge(func(c *edge.Config) { c.Work, c.MaxBody = g, 1<<20 })
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/body", strings.NewReader(strings.Repeat("x", 100<<10)))
	r.Host = "127.0.0.1"
	r.Header.Set("X-API-Key", "good")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "too many large requests") {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	g.Leave("somebody")
	if in, waiting := g.Load(); in != 0 || waiting != 0 {
		t.Errorf("%d worked on, %d waiting at the end", in, waiting)
	}
}

// TestABodyIsReadAsAnnounced, or as it comes when more, less or nothing is announced.
func TestABodyIsReadAsAnnounced(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 300_000} {
		for _, announced := range []int{-1, 0, size / 2, size, size + 1, 1 << 40} {
			text := strings.Repeat("0123456789", size/10+1)[:size]
			r := &http.Request{Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(announced)}
			if raw, err := edge.ReadAll(r); err != nil || string(raw) != text {
				t.Errorf("%d bytes, %d announced: got %d, %v", size, announced, len(raw), err)
			}
		}
	}
}
