// Package vault is the only way to HashiCorp Vault: a session is opened with a
// call.Grant and nothing else, uses the token that belongs to the granted caller,
// and reaches the granted mount alone.
package vault

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/vault/breaker"
	"portcullis/gateway/vault/credential"
	"portcullis/gateway/vault/gate"
	"portcullis/gateway/vault/readcache"
)

// Config says where Vault is and how the gateway proves itself to it.
type Config struct {
	Addr      string        // http(s)://host:port
	Nodes     []string      // further addresses of the same cluster that tokens may go to when a standby redirects
	Namespace string        // Vault Enterprise, empty for none
	Timeout   time.Duration // of one request, from first byte sent to last byte read, 0 for ten seconds

	CACert, ClientCert, ClientKey string // PEM files, empty for the system's roots and no certificate
	ServerName                    string
	SkipVerify                    bool

	Login    Login
	Load     Load
	Children Children
	Guard    Guard

	// CacheTTL is how long a secret that was read is answered from memory; 0, the
	// default, never. Writes made elsewhere are not seen for that long.
	CacheTTL time.Duration

	// Budgets bound the leases of everybody together, and the answers that are kept; nil
	// bounds nothing.
	Budgets *budget.Budgets

	// Mounts are the engines that operations act on; they are verified at the start and
	// by Ready.
	Mounts []Mount

	// Proxy says which proxy leads to Vault, nil for none (http.ProxyFromEnvironment).
	Proxy func(*http.Request) (*url.URL, error)

	Book Book // where the gateway notes whose lease is whose; empty: it can issue none

	Log *slog.Logger // what happens in the background; nil for nowhere
}

// Load bounds what is sent to Vault at once. A zero field has a default.
type Load struct {
	Total int           // requests at once, 256
	Each  int           // of one caller, a quarter of Total
	Queue int           // requests of one caller that wait for a place, 1024
	Wait  time.Duration // the longest wait for a place, 2s
}

// Client talks to one Vault. Its base client is never changed after New, so it
// is safe for use by many goroutines.
type Client struct {
	base    *api.Client // has no token
	http    *http.Transport
	timeout time.Duration
	gate    *gate.Gate
	breaker *breaker.Breaker
	standby standby
	nodes   *trusted
	mounts  []Mount
	ready   readiness
	login   Login
	root    *credential.Cell // the gateway's own token
	retired sync.WaitGroup   // tokens of the gateway's that are about to be revoked
	holders *holders
	guard   Guard
	cache   *readcache.Cache // nil for none
	budgets *budget.Budgets
	book    Book
	log     *slog.Logger

	recalled atomic.Bool // the callers in the book are known
	refused  atomic.Bool // Vault has refused the gateway's own token, and no other was to be had
}

// The breaker opens after that many failures in a row, and lets one request try
// after a rest: the first call after Vault's return is at most that late.
const (
	breakerFailures = 5
	breakerRest     = time.Second
)

// New makes a client. It does not connect.
func New(c Config) (*Client, error) {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Login = c.Login.trimmed()
	if err := errors.Join(c.Children.check(), c.Login.check()); err != nil {
		return nil, err
	}
	tr, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	base, err := newBase(c, tr)
	if err != nil {
		return nil, err
	}
	nodes, err := newTrusted(append([]string{c.Addr}, c.Nodes...)...)
	if err != nil {
		return nil, err
	}
	cl := &Client{
		base: base, nodes: nodes, mounts: c.Mounts, http: tr, timeout: c.Timeout, gate: c.Load.gate(), login: c.Login, guard: c.Guard.withDefaults(), cache: newCache(c.CacheTTL, c.Budgets), budgets: c.Budgets, book: c.Book, log: c.Log,
		breaker: &breaker.Breaker{Failures: breakerFailures, Rest: breakerRest},
	}
	cl.breaker.Alive = cl.alive
	cl.root = cl.newRoot()
	cl.holders = &holders{client: cl, Children: c.Children.withDefaults(), all: map[string]*holder{}, dying: map[string]bool{}}
	return cl, nil
}

func (l Load) gate() *gate.Gate {
	g := &gate.Gate{Total: l.Total, Each: l.Each, Queue: l.Queue, Wait: l.Wait}
	if g.Total <= 0 {
		g.Total = 256
	}
	if g.Each <= 0 {
		g.Each = max(1, g.Total/4)
	}
	if g.Queue <= 0 {
		g.Queue = 1024
	}
	if g.Wait <= 0 {
		g.Wait = 2 * time.Second
	}
	return g
}

// dropIdleEvery bounds how long an idle connection is kept although Vault's name
// may lead elsewhere by now.
const dropIdleEvery = 5 * time.Minute

// Run does what has to happen without a call: the gateway's token is renewed, or
// got anew, and leases are looked after. It returns when ctx ends and all of it has stopped.
func (c *Client) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { c.keepRoot(ctx) })
	wg.Go(func() { c.watch(ctx) })
	wg.Go(func() { c.keepVerified(ctx) })
	wg.Go(func() {
		for sleep(ctx, dropIdleEvery) {
			c.http.CloseIdleConnections()
		}
	})
	wg.Wait()
}

// sleep reports false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close gives the gateway's own token back, when it was got by logging in. What
// callers hold lives on: the tokens that mint leases are orphans for that reason.
func (c *Client) Close(ctx context.Context) error {
	t := c.root.Close()
	c.http.CloseIdleConnections()
	if t.Value == "" || !c.login.logsIn() {
		return nil
	}
	return c.revokeSelf(ctx, t)
}

// Load is what is going on: requests at Vault, requests that wait, and whether
// Vault is taken to be away.
func (c *Client) Load() (inside, waiting int, away bool) {
	inside, waiting = c.gate.Load()
	return inside, waiting, c.breaker.Open()
}

// tokenFailed is the public form of why there is no token.
func tokenFailed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, credential.ErrClosed):
		return call.Wrap(call.Forbidden, "denied by policy", err)
	case errors.Is(err, context.Canceled):
		return call.Wrap(call.Canceled, "the caller has gone away", err)
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable(err)
	default:
		return err
	}
}
