package leases

import (
	"context"
	"errors"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
)

// RevokeCaller revokes whatever a caller holds in Vault: its policies, and with them the
// rights of its tokens, its leases, and the tokens that they depend on. It goes on after
// a failure, and Run tries again what failed until it is done. The caller gets a new
// token with its next call; to refuse its calls is for authentication and policy.
func (j *Janitor) RevokeCaller(ctx context.Context, key string) error {
	s := j.Callers.BeginRevoke(key)
	var problems []error
	if j.Callers.Enabled {
		var written []string
		if s != nil {
			s.Close()
			written = s.WrittenPolicies()
		}
		problems = append(problems, j.Callers.DeletePolicies(ctx, key, written))
	}
	if j.Registry.Mount != "" {
		problems = append(problems, j.revokeTokens(ctx, key), j.revokeLeases(ctx, key))
	}
	problems = append(problems, j.endGiven(ctx, key, func(*call.Caller) bool { return true }))
	err := errors.Join(problems...)
	if err == nil {
		j.Callers.EndRevoke(key)
		j.Registry.forget(key)
		j.Registry.Budgets.Count(budget.Who{Caller: key}, budget.Leases, 0)
	}
	return err
}

func (j *Janitor) endGiven(ctx context.Context, key string, ended func(*call.Caller) bool) error {
	if j.EndGiven == nil {
		return nil
	}
	return j.EndGiven(ctx, key, ended)
}

// RevokeWhere revokes every caller all of whose credentials a function selects, among
// the callers that have called or hold leases. Of other callers it revokes the leases
// that were issued to a selected credential.
func (j *Janitor) RevokeWhere(ctx context.Context, ended func(*call.Caller) bool) error {
	problems := []error{j.loadCallers(ctx)}
	for _, s := range j.Callers.List() {
		all, some := s.ForgetWhere(ended)
		if all {
			problems = append(problems, j.RevokeCaller(ctx, s.Key()))
			continue
		}
		if some && j.Callers.Enabled {
			problems = append(problems, s.ReconcilePolicies(ctx))
		}
		problems = append(problems, j.revokeLeasesWhere(ctx, s, ended), j.endGiven(ctx, s.Key(), ended))
	}
	return errors.Join(problems...)
}

// revokeLeasesWhere revokes a caller's leases that were issued to selected credentials.
func (j *Janitor) revokeLeasesWhere(ctx context.Context, s *callers.State, ended func(*call.Caller) bool) error {
	if j.Registry.Mount == "" || !j.Registry.stateOf(s.Key()).listDue(j.Rules.Idle) {
		return nil
	}
	entries, err := j.Registry.leases(s.Key()).entries(ctx)
	problems := []error{err}
	for _, e := range entries {
		if e.By != nil && ended(e.By) {
			problems = append(problems, j.revokeEntry(ctx, s.Key(), e))
		}
	}
	return errors.Join(problems...)
}

// revokeEntry revokes a lease and removes its entry.
func (j *Janitor) revokeEntry(ctx context.Context, key string, e Entry) error {
	if err := j.Registry.RevokeLease(ctx, key, e.Lease); err != nil && !call.Is(err, call.NotFound) {
		return err
	}
	return j.Registry.leases(key).remove(ctx, e)
}

// revokeTokens revokes the tokens that a caller's leases depend on.
func (j *Janitor) revokeTokens(ctx context.Context, key string) error {
	f := j.Registry.tokens(key)
	entries, err := f.entries(ctx)
	problems := []error{err}
	for _, e := range entries {
		if err := j.Callers.RevokeToken(ctx, key, e.Accessor); err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, f.remove(ctx, e))
	}
	return errors.Join(problems...)
}

func (j *Janitor) revokeLeases(ctx context.Context, key string) error {
	entries, err := j.Registry.leases(key).entries(ctx)
	problems := []error{err}
	for _, e := range entries {
		problems = append(problems, j.revokeEntry(ctx, key, e))
	}
	return errors.Join(problems...)
}
