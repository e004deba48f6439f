package readcache_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/vault/readcache"
)

func key(caller, path string, version int) readcache.Key {
	p, err := call.ParsePath(path)
	if err != nil {
		panic(err)
	}
	return readcache.Key{Caller: caller, Token: 1, Of: call.Resource{Mount: "secret", Path: p, Version: version}}
}

func put(c *readcache.Cache, k readcache.Key, body string) {
	_, _, q := c.Get(k)
	c.Put(q, []byte(body))
}

func TestCache(t *testing.T) {
	app := key("/a", "app", 0)
	newToken := app
	newToken.Token = 2
	cases := map[string]struct {
		do   func(*readcache.Cache)
		ask  readcache.Key
		want string // empty for nothing
	}{
		"kept":               {func(c *readcache.Cache) { put(c, app, "v") }, app, "v"},
		"of another caller":  {func(c *readcache.Cache) { put(c, app, "v") }, key("/b", "app", 0), ""},
		"of another token":   {func(c *readcache.Cache) { put(c, app, "v") }, newToken, ""},
		"of another version": {func(c *readcache.Cache) { put(c, app, "v") }, key("/a", "app", 1), ""},
		"of another path":    {func(c *readcache.Cache) { put(c, app, "v") }, key("/a", "app2", 0), ""},
		"too old":            {func(c *readcache.Cache) { put(c, app, "v"); time.Sleep(time.Second) }, app, ""},
		"almost too old":     {func(c *readcache.Cache) { put(c, app, "v"); time.Sleep(999 * time.Millisecond) }, app, "v"},
		"written":            {func(c *readcache.Cache) { put(c, app, "v"); c.Written(key("/b", "app", 7).Of) }, app, ""},
		"another written":    {func(c *readcache.Cache) { put(c, app, "v"); c.Written(key("/a", "app2", 0).Of) }, app, "v"},
		"written meanwhile": {func(c *readcache.Cache) {
			_, _, q := c.Get(app)
			c.Written(app.Of)
			c.Put(q, []byte("old"))
		}, app, ""},
		"too long":     {func(c *readcache.Cache) { put(c, app, "0123456789x") }, app, ""},
		"no room left": {func(c *readcache.Cache) { put(c, key("/a", "x", 0), "0123456"); put(c, app, "0123456") }, app, "0123456"},
		"replaced":     {func(c *readcache.Cache) { put(c, app, "0123456"); time.Sleep(2 * time.Second); put(c, app, "01234567") }, app, "01234567"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &readcache.Cache{TTL: time.Second, MaxBytes: 10}
				tc.do(c)
				if got, _, _ := c.Get(tc.ask); string(got) != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func ExampleCache() {
	c := &readcache.Cache{TTL: time.Minute, MaxBytes: 1 << 20}
	k := readcache.Key{Caller: "/app", Of: call.Resource{Mount: "secret"}}
	_, _, question := c.Get(k)
	c.Put(question, []byte("answer"))
	body, _, _ := c.Get(k)
	fmt.Printf("%s\n", body)
	c.Written(k.Of)
	body, _, _ = c.Get(k)
	fmt.Printf("%q\n", body)
	// Output:
	// answer
	// ""
}

// TestWhoHasUsedUpItsEntriesReplacesItsOwn: and leaves the others theirs.
func TestWhoHasUsedUpItsEntriesReplacesItsOwn(t *testing.T) {
	var table budget.Table
	table[budget.Cache].Caller = 10
	b := budget.New(table)
	c := &readcache.Cache{TTL: time.Minute, MaxBytes: 1 << 20, Budgets: b}
	put(c, key("/quiet", "app", 0), "mine")
	for i := range 100 {
		put(c, key("/greedy", fmt.Sprint("p", i), 0), "v")
	}
	if body, _, _ := c.Get(key("/quiet", "app", 0)); string(body) != "mine" {
		t.Errorf("the other caller's answer: got %q", body)
	}
	if body, _, _ := c.Get(key("/greedy", "p99", 0)); string(body) != "v" {
		t.Errorf("the newest answer: got %q", body)
	}
	if got := b.Used(budget.Cache); got != 11 {
		t.Errorf("%d entries are counted, want 11", got)
	}
	for i := range 100 {
		c.Written(key("", fmt.Sprint("p", i), 0).Of)
	}
	c.Written(key("", "app", 0).Of)
	if got := b.Used(budget.Cache); got != 0 {
		t.Errorf("%d entries are counted when nothing is kept", got)
	}
}

// TestCountIsBounded: answers without a byte take memory as well.
func TestCountIsBounded(t *testing.T) {
	c := &readcache.Cache{TTL: time.Minute, MaxBytes: 1 << 20, MaxCount: 10}
	kept := 0
	for i := range 100 {
		k := readcache.Key{Caller: fmt.Sprint(i), Of: call.Resource{Mount: fmt.Sprint(i)}}
		_, _, question := c.Get(k)
		c.Put(question, []byte{})
	}
	for i := range 100 {
		if body, _, _ := c.Get(readcache.Key{Caller: fmt.Sprint(i), Of: call.Resource{Mount: fmt.Sprint(i)}}); body != nil {
			kept++
		}
	}
	if kept != 10 {
		t.Errorf("%d answers are kept, want 10", kept)
	}
}
