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
	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
	"portcullis/gateway/retry"
	"portcullis/gateway/retry/breaker"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/readcache"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
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
	Children callers.Config
	Registry leases.Location // where the owners of leases are registered; empty: no lease can be issued
	Janitor  leases.Rules

	// UseOf is what an operation declares about its requests, by its name. Optional: nil
	// for nothing.
	UseOf func(op string) Use

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

	Log *slog.Logger // what happens in the background; nil for nowhere

	Anchor    Anchor     // where checkpoints of the evidence are kept
	Signing   SigningKey // what Sign signs with
	Documents Documents  // where the gateway keeps documents of its own

	// Upkeep is called with each request that the gateway sends to Vault for itself; it must not wait for
	// Vault. Optional.
	Upkeep func(Upkeep)

	// RootToken is called once when Vault says that the gateway's own token is a root
	// token. Optional.
	RootToken func()

	netHTTP bool // every request is net/http's, as tests have it to compare
}

// Load bounds what is sent to Vault at once. A zero field has a default.
type Load struct {
	Total    int            // requests at once, 256
	Each     int            // of one caller, a quarter of Total
	Queue    int            // requests of one caller that wait for a place, 1024
	Wait     time.Duration  // the longest wait for a place, 2s
	Presence *gate.Presence // callers whose requests come, for others to ask; nil for nobody
}

// Client talks to one Vault. Its base client is never changed after New, so it
// is safe for use by many goroutines.
type Client struct {
	base      *api.Client // has no token
	http      *transport
	wire      wire.Base
	timeout   time.Duration
	gate      *gate.Gate
	large     *gate.Gate // of large answers
	ownLarge  *gate.Gate // of those to what the gateway reads for itself
	buffers   buffers
	breaker   *breaker.Breaker
	standby   standby
	nodes     *trusted
	mounts    []Mount
	ready     readiness
	login     Login
	root      *tokencache.Source // of the gateway's own token
	retired   sync.WaitGroup     // tokens of the gateway's that are about to be revoked
	cache     *readcache.Cache   // nil for none
	useOf     func(op string) Use
	log       *slog.Logger
	upkeep    func(Upkeep)
	anchor    Anchor
	signing   signing
	documents Documents

	wrappings owned // given to callers
	passwords owned // leases of one-time passwords, likewise

	callers  *callers.Registry
	registry *leases.Registry
	janitor  *leases.Janitor

	meters   meters
	issued   atomic.Bool // leases that hang on the gateway's own token
	away     atomic.Bool // it was logged that Vault is away
	refused  atomic.Bool // Vault refused the gateway's own token, and there is no other
	tellRoot func()      // says once that it is a root token
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
	if c.Upkeep == nil {
		c.Upkeep = func(Upkeep) {}
	}
	if c.RootToken == nil {
		c.RootToken = func() {}
	}
	c.Login = c.Login.trimmed()
	if err := errors.Join(c.Children.Check(), c.Login.check()); err != nil {
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
	requests, err := wire.NewBase(c.Addr, c.Namespace)
	if err != nil {
		return nil, err
	}
	nodes, err := newTrusted(append([]string{c.Addr}, c.Nodes...)...)
	if err != nil {
		return nil, err
	}
	cl := &Client{
		base: base, http: tr, wire: requests, nodes: nodes, mounts: c.Mounts, timeout: c.Timeout, gate: c.Load.gate(), large: largeGate(), ownLarge: largeGate(), login: c.Login,
		cache: newCache(c.CacheTTL, c.Budgets), useOf: c.UseOf, log: c.Log, upkeep: c.Upkeep, anchor: c.Anchor, documents: c.Documents,
		signing:  signing{SigningKey: c.Signing},
		tellRoot: sync.OnceFunc(c.RootToken),
		breaker:  &breaker.Breaker{Failures: breakerFailures, Rest: breakerRest},
	}
	cl.breaker.Alive = cl.alive
	cl.root = cl.newRoot()
	cl.keepHouse(c)
	return cl, nil
}

// keepHouse makes the parts that know what callers hold in Vault.
func (c *Client) keepHouse(cfg Config) {
	rules := cfg.Janitor.WithDefaults()
	c.registry = &leases.Registry{Location: cfg.Registry, Send: c.asGateway, Timeout: c.timeout, Max: rules.Max, Budgets: cfg.Budgets}
	c.callers = callers.New(cfg.Children, callers.Backend{Send: c.asGateway, Timeout: c.timeout, RegisterToken: c.registry.RegisterToken, Log: c.log})
	c.janitor = &leases.Janitor{Rules: rules, Registry: c.registry, Callers: c.callers, EndGiven: c.endGiven, Log: c.log}
}

// RevokeCaller revokes whatever a caller holds in Vault, see leases.Janitor.
func (c *Client) RevokeCaller(ctx context.Context, callerKey string) error {
	return c.janitor.RevokeCaller(ctx, callerKey)
}

// RevokeWhere revokes what selected credentials hold in Vault, see leases.Janitor.
func (c *Client) RevokeWhere(ctx context.Context, ended func(*call.Caller) bool) error {
	return c.janitor.RevokeWhere(ctx, ended)
}

// maxInventory bounds what Inventory reads.
const maxInventory = 1000

// Inventory lists the leases of all callers, at most 1000.
func (c *Client) Inventory(ctx context.Context) ([]leases.Owned, error) {
	return c.registry.Inventory(ctx, maxInventory)
}

// Reserved reports whether a resource belongs to the gateway itself: it is nobody's
// secret, and no events tell of it.
func (c *Client) Reserved(r call.Resource) bool {
	return c.registry.Contains(r) || c.anchor.holds(r) || c.signing.holds(r) || c.documents.holds(r)
}

// largeAtVault is how many requests of one caller Vault gets at once when what they send
// or get is large: each keeps one of its processors for tens of milliseconds, and others'
// small ones wait behind them. Beside others each is followed by a rest.
const (
	largeAtVault = 2
	restAtVault  = 7
)

func (l Load) gate() *gate.Gate {
	g := &gate.Gate{Total: l.Total, Each: l.Each, Large: largeAtVault, Rest: restAtVault, Queue: l.Queue, Wait: l.Wait, Presence: l.Presence}
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
	wg.Go(func() { c.janitor.Run(ctx) })
	wg.Go(func() { c.keepVerified(ctx) })
	wg.Go(func() { c.keepSecretID(ctx) })
	wg.Go(func() {
		for retry.Sleep(ctx, dropIdleEvery) {
			c.http.closeIdle()
		}
	})
	wg.Wait()
}

// Close gives the gateway's own token back, when it was got by logging in. What callers
// hold lives on: the tokens that mint leases are orphans for that reason, and where callers
// have none, one that has issued a lease is left to end by itself.
func (c *Client) Close(ctx context.Context) error {
	t := c.root.Close()
	c.http.closeIdle()
	if t.Value == "" || !c.login.logsIn() {
		return nil
	}
	if c.issued.Load() {
		c.log.Info("the gateway's Vault token ends by itself, because credentials that callers hold end with it")
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
	case errors.Is(err, tokencache.ErrClosed):
		return call.Wrap(call.Forbidden, "denied by policy", err)
	case errors.Is(err, context.Canceled):
		return call.Wrap(call.Canceled, "the caller has gone away", err)
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable(err)
	default:
		return err
	}
}
