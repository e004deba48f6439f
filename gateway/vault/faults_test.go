package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// behindProxy is a client that reaches a dev Vault through a proxy.
func behindProxy(t *testing.T, c vault.Config) (*vaulttest.Vault, *vaulttest.Proxy, *vault.Client) {
	t.Helper()
	v := vaulttest.Start(t)
	p := vaulttest.StartProxy(t, v.Addr)
	c.Addr, c.Login = p.Addr, approle(v)
	cl := newClient(t, c)
	if err := put(t, cl, caller("warm"), "x"); err != nil {
		t.Fatal(err)
	}
	return v, p, cl
}

func TestBrokenReplies(t *testing.T) { overBoth(t, testBrokenReplies) }

func testBrokenReplies(t *testing.T) {
	v, p, cl := behindProxy(t, vault.Config{Timeout: time.Second})
	cases := map[string]struct {
		fault vaulttest.Fault
		write bool
		mint  bool
		want  call.Code
		sent  int // requests that reach Vault
	}{
		"write, reply cut":            {fault: vaulttest.Fault{Cut: true}, write: true, want: call.OutcomeUnknown, sent: 1},
		"write, reply truncated":      {fault: vaulttest.Fault{Cut: true, Bytes: 300}, write: true, want: call.OutcomeUnknown, sent: 1},
		"write, cut on the way there": {fault: vaulttest.Fault{Refuse: true}, write: true, want: call.OutcomeUnknown},
		"write, cut in its head":      {fault: vaulttest.Fault{In: 60}, write: true, want: call.OutcomeUnknown},
		"write, cut in its body":      {fault: vaulttest.Fault{In: 1 << 20}, write: true, want: call.OutcomeUnknown},
		"mint, cut in its head":       {fault: vaulttest.Fault{In: 60}, mint: true, want: call.OutcomeUnknown},
		"read, cut in its head once":  {fault: vaulttest.Fault{In: 60, Times: 1}, sent: 1},
		"write, slow":                 {fault: vaulttest.Fault{Delay: 2 * time.Second}, write: true, want: call.OutcomeUnknown, sent: 1},
		"read, reply cut once":        {fault: vaulttest.Fault{Cut: true, Times: 1}, sent: 2},
		"read, reply truncated once":  {fault: vaulttest.Fault{Cut: true, Bytes: 300, Times: 1}, sent: 2},
		"read, cut there once":        {fault: vaulttest.Fault{Refuse: true, Times: 1}, sent: 1},
		"read, slow":                  {fault: vaulttest.Fault{Delay: 2 * time.Second}, want: call.VaultTimeout, sent: 1},
		"mint, reply cut":             {fault: vaulttest.Fault{Cut: true}, mint: true, want: call.OutcomeUnknown, sent: 1},
		"mint, slow":                  {fault: vaulttest.Fault{Delay: 2 * time.Second}, mint: true, want: call.OutcomeUnknown, sent: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := caller("case" + strconv.Itoa(int(time.Now().UnixNano())))
			path := "secret/data/" + c.Prefix.String() + "/app"
			if !tc.write {
				v.Write(path, map[string]any{"data": map[string]string{"value": "v"}})
			}
			before := v.Count(path)
			tc.fault.Match = "/v1/secret/"
			p.Break(tc.fault)
			var err error
			switch {
			case tc.write:
				err = put(t, cl, c, "v")
			case tc.mint:
				err = open(t, cl, grant(c, "kv.read")).Mint(t.Context(), "data/"+c.Prefix.String()+"/app", nil)
			default:
				_, err = read(t, cl, c)
			}
			p.Heal()
			if tc.want == "" && err != nil || tc.want != "" && !call.Is(err, tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if _, err := read(t, cl, caller("warm")); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if n := v.Count(path) - before; n != tc.sent {
				t.Errorf("%d requests reached Vault, want %d", n, tc.sent)
			}
		})
	}
}

func TestAwayAndBack(t *testing.T) { overBoth(t, testAwayAndBack) }

func testAwayAndBack(t *testing.T) {
	v := vaulttest.Start(t, "--data", t.TempDir())
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v)})
	c := caller("away")
	if err := put(t, cl, c, "kept"); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	steps := []struct {
		name     string
		do, undo func(context.Context) error
	}{
		{"sealed", v.Seal, v.Unseal},
		{"killed", func(context.Context) error { return v.Kill() }, v.Restart},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			if err := s.do(ctx); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if _, err := read(t, cl, c); !call.Is(err, call.VaultUnavailable) || call.AsError(err).RetryAfter == 0 {
					t.Fatalf("read %d: got %v, want vault_unavailable with a time to retry", i, err)
				}
				if err := put(t, cl, c, "lost"); !call.Is(err, call.VaultUnavailable) {
					t.Fatalf("write %d: got %v, want vault_unavailable", i, err)
				}
			}
			if err := cl.Ready(ctx); !call.Is(err, call.VaultUnavailable) {
				t.Errorf("Ready: got %v", err)
			}
			if err := s.undo(ctx); err != nil {
				t.Fatal(err)
			}
			e2e.Eventually(t, "a read", func() bool { got, err := read(t, cl, c); return err == nil && got == "kept" })
			e2e.Eventually(t, "ready", func() bool { return cl.Ready(ctx) == nil })
		})
	}
}

// TestReturnsAsAnother: Vault comes back with other data and another root, and knows
// neither the gateway's token nor its callers'.
func TestReturnsAsAnother(t *testing.T) {
	v := vaulttest.Start(t) // in memory: nothing survives
	login := approle(v)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: login, Children: children()})
	run(t, cl)
	c := caller("another")
	if err := put(t, cl, c, "lost"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.Kill(), v.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "Vault to refuse the gateway", func() bool { _, err := read(t, cl, c); return call.Is(err, call.VaultAuth) })
	v.Write("auth/approle/role/gateway/role-id", map[string]string{"role_id": login.RoleID})
	v.Write("auth/approle/role/gateway/custom-secret-id", map[string]string{"secret_id": login.SecretID.Reveal()})
	e2e.Eventually(t, "a write", func() bool { return put(t, cl, c, "new") == nil })
	if got, err := read(t, cl, c); err != nil || got != "new" {
		t.Errorf("read: got %q, %v", got, err)
	}
	if err := cl.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
}

// stub is a client of a server that answers everything in one way.
func stub(t *testing.T, c vault.Config, h http.HandlerFunc) *vault.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c.Addr, c.Login = srv.URL, vault.Login{Token: "own"}
	return newClient(t, c)
}

func TestAnswers(t *testing.T) { overBoth(t, testAnswers) }

func testAnswers(t *testing.T) {
	cases := map[string]struct {
		status     int
		body       string
		want       call.Code
		retryAfter time.Duration
	}{
		"rate limit":    {http.StatusTooManyRequests, `{"errors":["request path \"x\": rate limit quota exceeded"]}`, call.RateLimited, 7 * time.Second},
		"lease quota":   {http.StatusTooManyRequests, `{"errors":["lease count quota exceeded"]}`, call.LeaseQuota, 7 * time.Second},
		"overloaded":    {http.StatusServiceUnavailable, `{"errors":["overloaded, try again later"]}`, call.VaultUnavailable, 7 * time.Second},
		"behind":        {http.StatusPreconditionFailed, `{"errors":["required index state not present"]}`, call.VaultUnavailable, 7 * time.Second},
		"denied":        {http.StatusForbidden, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`, call.Forbidden, 0},
		"dead token":    {http.StatusForbidden, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`, call.VaultAuth, 0},
		"internal":      {http.StatusInternalServerError, `{"errors":["internal error"]}`, call.VaultError, 0},
		"not supported": {http.StatusMethodNotAllowed, `{"errors":["unsupported operation"]}`, call.InvalidRequest, 0},
		"nobody leads":  {http.StatusInternalServerError, `{"errors":["local node not active but active cluster node not found"]}`, call.VaultUnavailable, 7 * time.Second},
		"moved":         {http.StatusMovedPermanently, ``, call.VaultError, 0},
		"not JSON":      {http.StatusOK, `<html>`, call.OutcomeUnknown, 0},
		"redirected":    {http.StatusTemporaryRedirect, ``, call.OutcomeUnknown, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			cl := stub(t, vault.Config{}, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", r.URL.String())
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			err := put(t, cl, caller("s"), "v")
			if !call.Is(err, tc.want) || call.AsError(err).RetryAfter != tc.retryAfter {
				t.Errorf("got %v, retry after %v; want %q, %v", err, call.AsError(err).RetryAfter, tc.want, tc.retryAfter)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("sent %d times, want once", n)
			}
		})
	}
}

func TestBreakerOpensAndCloses(t *testing.T) { overBoth(t, testBreakerOpensAndCloses) }

func testBreakerOpensAndCloses(t *testing.T) {
	var away atomic.Bool
	var requests atomic.Int64
	away.Store(true)
	cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, answer)
	})
	for range 100 {
		if _, err := read(t, cl, caller("b")); !call.Is(err, call.VaultUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	if n := requests.Load(); n > 20 {
		t.Errorf("%d of 100 requests were sent to a Vault that is away", n)
	}
	if _, _, open := cl.Load(); !open {
		t.Error("the breaker is closed")
	}
	away.Store(false)
	e2e.Eventually(t, "an answer", func() bool { _, err := read(t, cl, caller("b")); return err == nil })
	if _, _, open := cl.Load(); open {
		t.Error("the breaker is open")
	}
}

func TestOneCallerCannotTakeEveryPlace(t *testing.T) {
	hold := make(chan struct{})
	cl := stub(t, vault.Config{Load: vault.Load{Total: 8, Each: 6, Queue: 10, Wait: 20 * time.Millisecond}}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/secret/data/mcp/slow/app" {
			<-hold
		}
		_, _ = io.WriteString(w, answer)
	})
	var wg sync.WaitGroup
	var busy atomic.Int64
	for range 50 {
		wg.Go(func() {
			if _, err := read(t, cl, caller("slow")); call.Is(err, call.Overloaded) && call.AsError(err).RetryAfter > 0 {
				busy.Add(1)
			}
		})
	}
	e2e.Eventually(t, "the slow caller to be at its limit", func() bool { return busy.Load() == 44 })
	for range 20 {
		if _, err := read(t, cl, caller("quick")); err != nil {
			t.Errorf("the other caller: %v", err)
		}
	}
	close(hold)
	wg.Wait()
	if busy.Load() != 44 {
		t.Errorf("%d of the slow caller's calls were refused, want 44", busy.Load())
	}
}

func TestDeadlineIsPassedOn(t *testing.T) { overBoth(t, testDeadlineIsPassedOn) }

func testDeadlineIsPassedOn(t *testing.T) {
	ended := make(chan struct{})
	cl := stub(t, vault.Config{Timeout: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // within which a connection is had
	defer cancel()
	c := caller("d")
	err := open(t, cl, grant(c, "kv.read")).Get(ctx, "data/x", nil, nil)
	if !call.Is(err, call.VaultTimeout) {
		t.Errorf("got %v, want vault_timeout", err)
	}
	<-ended
}

// TestEveryMutationAtMostOnce sends ten thousand mutations through a hundred
// faults and compares what was answered with what Vault has recorded: whatever was
// answered with success is there once, nothing is there twice, and what is there
// although the answer was no success was answered with outcome_unknown.
func TestEveryMutationAtMostOnce(t *testing.T) { overBoth(t, testEveryMutationAtMostOnce) }

func testEveryMutationAtMostOnce(t *testing.T) {
	const mutations, faults, workers = 10_000, 100, 8
	v, p, cl := behindProxy(t, vault.Config{Timeout: 2 * time.Second})
	kinds := []vaulttest.Fault{
		{Cut: true}, {Cut: true, Bytes: 200}, {Refuse: true}, {Delay: 2 * time.Millisecond}, {In: 60}, {In: 1 << 20},
	}
	answers := make([]call.Code, mutations)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < mutations; n = int(next.Add(1)) - 1 {
				if n%(mutations/faults) == 0 {
					f := kinds[n/(mutations/faults)%len(kinds)]
					f.Match, f.Times = "PUT /v1/secret/", 1
					p.Break(f)
				}
				answers[n] = mutate(t, cl, n)
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, e := range v.Audit() {
		if e.Type == "request" && len(e.Request.Headers["x-correlation-id"]) > 0 {
			seen[e.Request.Headers["x-correlation-id"][0]]++
		}
	}
	unknown := 0
	for n, code := range answers {
		made := seen[fmt.Sprintf("m-%d", n)]
		switch {
		case code == "" && made != 1, made > 1, made == 1 && code != "" && code != call.OutcomeUnknown:
			t.Errorf("mutation %d: answered %q, %d in Vault's audit", n, code, made)
		case code == call.OutcomeUnknown:
			unknown++
		}
	}
	if unknown == 0 {
		t.Error("no outcome was unknown: the faults did not strike")
	}
	t.Logf("%d mutations, %d faults, %d outcomes unknown", mutations, faults, unknown)
}

func mutate(t *testing.T, cl *vault.Client, n int) call.Code {
	c := caller("mutant")
	g := call.Mint(c, call.Terms{DecisionID: fmt.Sprintf("m-%d", n), Op: "kv.write", Resource: call.Resource{Mount: "secret"}})
	body := map[string]any{"data": map[string]int{"n": n}}
	err := open(t, cl, g).Put(t.Context(), fmt.Sprintf("data/m/%d", n), body, nil)
	if err == nil {
		return ""
	}
	return call.AsError(err).Code
}
