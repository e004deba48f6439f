// Package soak keeps a gateway under a mixed load for long, while its policy is reloaded,
// its files are rotated, its tokens are revoked and Vault is restarted. No call may fail
// that nothing was done to, and what the gateway holds must not grow.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
)

// Options say how to soak.
type Options struct {
	Root string        // of the project, with bin/portcullis and bin/devvault
	Dir  string        // for files; empty at the start
	For  time.Duration // how long
	// Every is how often everything is done to the gateway once: a reload, a rotation, a
	// revocation and a restart of Vault.
	Every time.Duration
	Rate  int       // calls a second of each caller
	Out   io.Writer // takes a line for every round
}

// Report is what was noticed.
type Report struct {
	Calls    int
	Excused  int      // failures while Vault was away or had revoked the gateway's token
	Failures []string // all others, the first hundred
	Rounds   int      // how often everything was done
	Grown    []string // what was not flat
}

// callers are the subjects that call, by API key.
var callers = map[string]string{"soak-caller-key-000000000001": "soak_1", "soak-caller-key-000000000002": "soak_2", "soak-caller-key-000000000003": "soak_3"}

// run is a soak that runs.
type run struct {
	Options
	vault   *stack.Vault
	gateway *stack.Gateway
	client  *http.Client // requests and streams end with their contexts

	mu       sync.Mutex // guards what follows
	calls    int
	failures []failure
	faults   []span
	samples  []sample
}

// span is a time in which failures are excused.
type span struct{ from, to time.Time }

// failure is a call that was not answered as it should be.
type failure struct {
	at   span
	what string
	away bool // its code is one for a Vault that is away
}

// Run soaks. An error says that it could not; what was noticed is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	r := &run{Options: o, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	defer r.client.CloseIdleConnections()
	if err := r.start(ctx); err != nil {
		return Report{}, err
	}
	defer r.stop()
	ctx, cancel := context.WithTimeout(ctx, o.For+2*time.Minute) // a round that is begun is ended
	defer cancel()
	loaded, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for key := range callers {
		wg.Go(func() { r.load(loaded, key) })
		wg.Go(func() { r.listen(loaded, key) })
	}
	var rounds int
	var err error
	for until := time.Now().Add(o.For); time.Now().Before(until) && err == nil; rounds++ {
		err = r.round(ctx, rounds)
	}
	end()
	wg.Wait()
	return r.report(rounds), errors.Join(err, ctx.Err())
}

func (r *run) start(ctx context.Context) (err error) {
	data, policy := filepath.Join(r.Dir, "vault"), filepath.Join(r.Dir, "policy")
	if err := errors.Join(os.MkdirAll(data, 0o750), os.MkdirAll(policy, 0o750), r.writePolicy(0)); err != nil {
		return err
	}
	if r.vault, err = stack.StartVault(ctx, r.Root, r.Dir, "--audit-file=", "--data", data); err != nil {
		return err
	}
	keys := []string{}
	for key, subject := range callers {
		keys = append(keys, fmt.Sprintf("%q:%q", key, subject))
	}
	env := append(stack.DevEnv(r.Root, r.vault), "VAULT_TOKEN=", "VAULT_ROLE_ID="+r.vault.RoleID, "VAULT_SECRET_ID="+r.vault.SecretID,
		"API_KEYS_JSON={"+strings.Join(keys, ",")+"}", "POLICY_DIR="+policy, "CHILD_TOKEN_ENABLED=true", "POLICY_TIMEOUT=5s", "RATE_LIMIT_ENABLED=false")
	r.gateway, err = stack.StartGateway(ctx, stack.GatewayOptions{Root: r.Root, Dir: r.Dir, Env: env})
	if err != nil {
		r.stop()
	}
	return err
}

func (r *run) stop() {
	if r.gateway != nil && r.gateway.Process != nil {
		_ = r.gateway.Stop() // what was noticed is known
	}
	if r.vault != nil && r.vault.Process != nil {
		_ = r.vault.Stop() // the same
	}
}

// round does everything once, a quarter of the time apart.
func (r *run) round(ctx context.Context, n int) error {
	for _, do := range []func(context.Context, int) error{r.reload, r.rotate, r.revoke, r.restart} {
		if err := do(ctx, n); err != nil {
			return err
		}
		retry.Sleep(ctx, r.Every/4)
		if err := r.sample(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.Out, "round %d: %d calls, %d failures, %s\n", n+1, r.calls, len(r.failures), r.samples[len(r.samples)-1])
	return ctx.Err()
}

// report says which failures nothing was done for, and what has grown.
func (r *run) report(rounds int) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Report{Calls: r.calls, Rounds: rounds, Grown: grown(r.samples)}
	for _, f := range r.failures {
		excused := slices.ContainsFunc(r.faults, func(s span) bool { return f.at.from.Before(s.to) && f.at.to.After(s.from) })
		switch {
		case excused && f.away:
			out.Excused++
		case len(out.Failures) < 100:
			out.Failures = append(out.Failures, f.at.from.Format(time.TimeOnly)+" "+f.what)
		}
	}
	return out
}
