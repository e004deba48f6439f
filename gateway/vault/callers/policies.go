package callers

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// repairEvery bounds how often a caller's policies are read from Vault because Vault has
// denied a request of the caller's.
const repairEvery = 5 * time.Second

// syncPolicies makes Vault hold the policies of a token set as they should be. It reads
// them from Vault first, because another replica, or an operator, may have changed them.
func (s *State) syncPolicies(ctx context.Context, t *tokenSet) error {
	s.policyWrites.Lock()
	defer s.policyWrites.Unlock()
	for _, p := range s.policiesOf(t) {
		held, err := s.registry.readPolicy(ctx, s.key, p.name)
		if err != nil {
			return err
		}
		s.note(policy{p.engine, p.name, sumOf(held)})
		if err := s.writePolicy(ctx, p); err != nil {
			return err
		}
	}
	t.checked = time.Now()
	return nil
}

// ReconcilePolicies works out the caller's rights anew and updates the policies that were
// written to Vault accordingly.
func (s *State) ReconcilePolicies(ctx context.Context) error {
	s.reassignTokenSets()
	return s.updatePolicies(ctx)
}

// AdoptPolicies updates those that are in Vault of engines which the caller has not used
// since the gateway started: tokens that its leases depend on may have them. They are looked
// for once.
func (s *State) AdoptPolicies(ctx context.Context) error {
	s.mu.Lock()
	done := s.adopted || s.registry.loggedIn()
	s.mu.Unlock()
	if done {
		return nil
	}
	used := s.engines()
	for _, engine := range s.registry.Engines {
		if slices.Contains(used, engine) {
			continue
		}
		name := EnginePolicyName(s.policy, engine)
		held, err := s.registry.readPolicy(ctx, s.key, name)
		if err != nil {
			return err
		}
		if held != "" {
			s.assignSubject(engine) // first: what is known to be held and is of no engine is removed
			s.policyWrites.Lock()
			s.note(policy{engine, name, sumOf(held)})
			s.policyWrites.Unlock()
		}
	}
	s.mu.Lock()
	s.adopted = true
	s.mu.Unlock()
	return s.updatePolicies(ctx)
}

// updatePolicies makes Vault hold what it is known to hold as it should be.
func (s *State) updatePolicies(ctx context.Context) error {
	s.policyWrites.Lock()
	defer s.policyWrites.Unlock()
	all := s.policies() // with the lock: whoever writes one has it in the list
	for _, p := range slices.Clone(s.written) {
		p.text = sum{} // unless it is one of those that should be there
		if i := slices.IndexFunc(all, func(want policy) bool { return want.name == p.name }); i >= 0 {
			p.text = all[i].text
		}
		if err := s.writePolicy(ctx, p); err != nil && !errors.Is(err, tokencache.ErrClosed) {
			return err
		}
	}
	return nil
}

// WrittenPolicies are the names of the policies that were written to Vault.
func (s *State) WrittenPolicies() (names []string) {
	s.policyWrites.Lock()
	defer s.policyWrites.Unlock()
	for _, p := range s.written {
		names = append(names, p.name)
	}
	return names
}

// writePolicy writes a policy that differs from what Vault holds, or removes it when it
// should have no text. The caller holds policyWrites.
// Once the caller is revoked nothing is written any more, whoever has begun to before:
// its batch tokens end with their policies. WrittenPolicies waits for what is being written.
func (s *State) writePolicy(ctx context.Context, p policy) error {
	if s.held(p.name) == p.text {
		s.dropText(p.text)
		return nil
	}
	if p.text == (sum{}) {
		err := s.registry.deletePolicy(ctx, s.key, p.name)
		if err == nil {
			s.gone(p.name)
		}
		return err
	}
	if s.closed() {
		return tokencache.ErrClosed
	}
	hcl, err := s.textOf(p)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]string{"policy": hcl})
	if err != nil {
		return err
	}
	err = s.registry.Send(ctx, wire.Request{Method: wire.Put, Path: policyPath + "/" + p.name, Body: raw, Caller: s.key, Safe: true}, nil)
	if err != nil {
		return operatorError(err)
	}
	s.note(p)
	s.dropText(p.text)
	s.wrote = time.Now()
	return nil
}

// RepairPolicies corrects the policies of a credential that Vault has denied a request on
// an engine, sent at some time, which the gateway had allowed. It reports whether the request
// should be sent again. Vault is asked at most once in repairEvery.
func (s *State) RepairPolicies(ctx context.Context, c *call.Caller, engine string, sent time.Time) bool {
	if s.registry.loggedIn() {
		return false
	}
	c = alone(c)
	s.mu.Lock()
	before := s.use(c).of(engine)
	s.mu.Unlock()
	if before != nil { // else the token set has gone meanwhile
		s.policyWrites.Lock()
		repaired, early := s.wrote.After(sent), time.Since(before.checked) < repairEvery
		s.policyWrites.Unlock()
		if repaired || early {
			return repaired
		}
	}
	t := s.assignTokenSet(c, engine)
	err := s.syncPolicies(ctx, t)
	s.policyWrites.Lock()
	defer s.policyWrites.Unlock()
	return err == nil && (t != before || s.wrote.After(sent))
}

// policyPath is where Vault keeps its ACL policies (sys/policies/acl, Vault API).
const policyPath = "sys/policies/acl"

// readPolicy reads the text of a policy from Vault, "" when there is none.
func (r *Registry) readPolicy(ctx context.Context, key, name string) (string, error) {
	var reply policyText
	err := r.Send(ctx, wire.Request{Method: wire.Get, Path: policyPath + "/" + name, Caller: key}, wire.WantData(&reply))
	if call.Is(err, call.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", operatorError(err)
	}
	return *reply.Policy, nil
}

// policyText is a policy as Vault holds it.
type policyText struct {
	Policy *string `json:"policy"`
}

// Complete implements wire.Reply.
func (p *policyText) Complete() bool { return p.Policy != nil }

// DeletePolicies removes a caller's policies: from then on its batch tokens, which
// cannot be revoked, may do nothing. They are listed, because another replica may have
// written them; a gateway that may not list them removes those of the subject for each engine,
// and of those of single credentials what it has written itself.
func (r *Registry) DeletePolicies(ctx context.Context, key string, written []string) error {
	if r.loggedIn() {
		return nil
	}
	subject := PolicyName(r.PolicyPrefix, key)
	problems := []error{r.deletePolicy(ctx, key, subject)}
	var list wire.KeyList
	err := r.Send(ctx, wire.Request{Method: wire.Get, Path: policyPath, Query: url.Values{"list": {"true"}}, Caller: key}, wire.WantData(&list))
	if !call.Is(err, call.Forbidden) {
		problems = append(problems, operatorError(err))
	}
	names := slices.Concat(list.Keys, written)
	if err != nil {
		for _, engine := range r.Engines {
			names = append(names, EnginePolicyName(subject, engine))
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if strings.HasPrefix(name, subject+AdditionalMark) {
			problems = append(problems, r.deletePolicy(ctx, key, name))
		}
	}
	return errors.Join(problems...)
}

func (r *Registry) deletePolicy(ctx context.Context, key, name string) error {
	err := r.Send(ctx, wire.Request{Method: wire.Delete, Path: policyPath + "/" + name, Caller: key, Safe: true}, nil)
	if call.Is(err, call.NotFound) {
		return nil
	}
	return operatorError(err)
}
