package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/vault/tokencache"
)

// source hands out t1, t2, ... and counts.
func source(life, takes time.Duration, n *int) func(context.Context) (tokencache.Token, error) {
	return func(context.Context) (tokencache.Token, error) {
		time.Sleep(takes)
		*n++
		return tokencache.Token{Value: fmt.Sprintf("t%d", *n), Life: life}, nil
	}
}

func value(t *testing.T, c *tokencache.Source) string {
	t.Helper()
	tok, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok.Value
}

func TestManyAskOneGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := &tokencache.Source{Get: source(time.Minute, time.Second, &n), Timeout: time.Minute}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if got := value(t, c); got != "t1" {
					t.Errorf("got %s", got)
				}
			})
		}
		wg.Wait()
		if n != 1 {
			t.Errorf("got %d tokens, want 1", n)
		}
	})
}

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := &tokencache.Source{Get: source(100*time.Second, 0, &n), Timeout: time.Minute, Ahead: true}
		steps := []struct {
			after time.Duration
			want  string
		}{{0, "t1"}, {60 * time.Second, "t1"}, {20 * time.Second, "t1"}, {time.Second, "t2"}, {95 * time.Second, "t3"}}
		for i, s := range steps {
			time.Sleep(s.after)
			if got := value(t, c); got != s.want {
				t.Errorf("step %d: got %s, want %s", i, got, s.want)
			}
			synctest.Wait()
		}
		c.Drop("t2")
		if got := value(t, c); got != "t3" {
			t.Errorf("a token of before was dropped: got %s", got)
		}
		c.Drop("t3")
		if got := value(t, c); got != "t4" {
			t.Errorf("after Drop: got %s", got)
		}
		c.Renewed("t4", time.Hour)
		time.Sleep(30 * time.Minute)
		if got := value(t, c); got != "t4" {
			t.Errorf("after Renewed: got %s", got)
		}
	})
}

func TestFailureIsRememberedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, want := 0, errors.New("no")
		c := &tokencache.Source{Timeout: time.Minute, Get: func(context.Context) (tokencache.Token, error) { n++; return tokencache.Token{}, want }}
		for range 50 {
			if _, err := c.Token(t.Context()); !errors.Is(err, want) {
				t.Fatalf("got %v", err)
			}
		}
		if n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			_, _ = c.Token(t.Context())
		}
		if n < 10 || n > 25 {
			t.Errorf("asked %d times within a minute", n)
		}
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := &tokencache.Source{Get: source(time.Minute, time.Second, &n), Timeout: time.Minute}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Token(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got := value(t, c); got != "t1" {
			t.Errorf("got %s: what the first had begun was lost", got)
		}
	})
}

func TestTokenThatComesTooLateIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lost := 0, ""
		c := &tokencache.Source{
			Get: source(time.Minute, time.Second, &n), Timeout: time.Minute,
			Discard: func(tok tokencache.Token) { lost = tok.Value },
		}
		asked := make(chan error, 1)
		go func() { _, err := c.Token(t.Context()); asked <- err }()
		synctest.Wait()
		if tok := c.Close(); tok.Value != "" {
			t.Errorf("closed with %q", tok.Value)
		}
		if err := <-asked; !errors.Is(err, tokencache.ErrClosed) {
			t.Errorf("got %v for who had asked", err)
		}
		synctest.Wait()
		if lost != "t1" || c.Peek().Value != "" {
			t.Errorf("lost %q, kept %q", lost, c.Peek().Value)
		}
	})
}

func ExampleSource() {
	c := &tokencache.Source{Timeout: time.Second, Get: func(context.Context) (tokencache.Token, error) {
		fmt.Println("logging in")
		return tokencache.Token{Value: "hvs.example", Life: time.Hour}, nil
	}}
	for range 2 {
		t, err := c.Token(context.Background())
		fmt.Println(t.Value, err)
	}
	// Output:
	// logging in
	// hvs.example <nil>
	// hvs.example <nil>
}

// After a Get that panics there is another.
func TestAGetThatPanicsIsNotTheLast(t *testing.T) {
	n := 0
	s := &tokencache.Source{Timeout: time.Minute, Get: func(context.Context) (tokencache.Token, error) {
		if n++; n == 1 {
			panic("no token")
		}
		return tokencache.Token{Value: "good"}, nil
	}}
	if _, err := s.Token(t.Context()); err == nil {
		t.Error("a panic is no token")
	}
	if got := value(t, s); got != "good" {
		t.Errorf("got %q", got)
	}
}
