package leases

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/retry"
	"portcullis/gateway/vault/callers"
)

// Rules say how long callers keep their leases and policies.
type Rules struct {
	Every time.Duration // how often all callers are reconciled, 10s
	Max   int           // leases that one caller may hold, 100
	// Idle is the time after its last call after which a caller counts as gone: its leases
	// are revoked and its policies are removed. 0 means an hour, less than 0 never.
	Idle time.Duration
	// Renew renews leases as long as their caller does not count as gone.
	Renew bool
	// Allowed reports whether a credential may still hold a lease; if not, the lease is
	// revoked. Optional.
	Allowed func(context.Context, *call.Caller, Held) bool
	// Ended reports whether a credential was revoked: then whatever it holds is revoked.
	// Optional; RevokeWhere does the same at once.
	Ended func(*call.Caller) bool
}

// WithDefaults fills the fields that are zero.
func (r Rules) WithDefaults() Rules {
	if r.Every <= 0 {
		r.Every = 10 * time.Second
	}
	if r.Max <= 0 {
		r.Max = 100
	}
	if r.Idle == 0 {
		r.Idle = time.Hour
	}
	return r
}

// idle reports whether a caller counts as gone that called last at a time.
func (r Rules) idle(lastCall time.Time) bool { return r.Idle > 0 && time.Since(lastCall) > r.Idle }

// Janitor reconciles what callers hold in Vault with what the policy and the rules allow:
// it renews leases and tokens, updates policies, and revokes what has to end. Its fields
// are set before its first use.
type Janitor struct {
	Rules    Rules // with defaults
	Registry *Registry
	Callers  *callers.Registry
	Log      *slog.Logger
	// EndGiven ends what a caller was given that is not registered, to selected credentials.
	// Optional.
	EndGiven func(ctx context.Context, key string, ended func(*call.Caller) bool) error

	loaded atomic.Bool // the callers in the registry are known to Callers
}

// Run reconciles all callers again and again until ctx ends.
func (j *Janitor) Run(ctx context.Context) {
	for retry.Sleep(ctx, j.Rules.Every) {
		j.logFailure(ctx, "all", j.loadCallers(ctx))
		for _, key := range j.Callers.Revoking() {
			j.logFailure(ctx, key, j.RevokeCaller(ctx, key))
		}
		for _, s := range j.Callers.List() {
			j.logFailure(ctx, s.Key(), j.reconcile(ctx, s))
		}
		j.Registry.prune(j.Callers.Known)
	}
}

func (j *Janitor) logFailure(ctx context.Context, key string, err error) {
	if err != nil && ctx.Err() == nil {
		j.Log.Warn("a caller's leases or policies in Vault could not be updated; the gateway tries again soon", "caller", key, "after", j.Rules.Every, "cause", err)
	}
}

// reconcile looks after one caller.
func (j *Janitor) reconcile(ctx context.Context, s *callers.State) error {
	if j.Rules.Ended != nil {
		if all, _ := s.ForgetWhere(j.Rules.Ended); all {
			return j.RevokeCaller(ctx, s.Key())
		}
	}
	var problems []error
	if j.Callers.Enabled {
		problems = append(problems, s.ReconcilePolicies(ctx))
	}
	held, err := j.listIfDue(ctx, s)
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	if j.Rules.idle(lastCall(s.LastCall(), held)) {
		return j.RevokeCaller(ctx, s.Key())
	}
	for _, e := range held {
		problems = append(problems, j.renewOrRevoke(ctx, s, e))
	}
	if len(held) > 0 && j.Callers.Enabled {
		problems = append(problems, s.AdoptPolicies(ctx), j.renewTokens(ctx, s))
	}
	return errors.Join(problems...)
}

// listIfDue lists the leases of a caller. A caller without leases is listed less often,
// because another replica may issue some, and once more before it counts as gone.
func (j *Janitor) listIfDue(ctx context.Context, s *callers.State) ([]Entry, error) {
	known := j.Registry.stateOf(s.Key())
	if j.Registry.Mount == "" || !known.listDue(max(j.Rules.Idle/4, 10*j.Rules.Every)) && !j.Rules.idle(s.LastCall()) {
		return nil, nil
	}
	writes := known.writeCount()
	held, err := j.Registry.leases(s.Key()).entries(ctx)
	if err == nil {
		known.wasListed(len(held) > 0, writes)
		j.Registry.updateBudget(s.Key(), known, held)
	}
	return held, err
}

// lastCall is when a caller called last, at whichever replica.
func lastCall(here time.Time, held []Entry) time.Time {
	for _, e := range held {
		if t := time.Unix(e.Seen, 0); t.After(here) {
			here = t
		}
	}
	return here
}

// loadCallers makes the callers known again that have an entry in the registry: their
// leases are renewed although they have not called since the gateway started. The
// registry is read once.
func (j *Janitor) loadCallers(ctx context.Context) error {
	if j.Registry.Mount == "" || j.loaded.Load() {
		return nil
	}
	err := j.Registry.callerKeys(ctx, j.Callers.Add)
	if err == nil {
		j.loaded.Store(true)
	}
	return err
}
