package callers

import (
	"crypto/sha256"
	"slices"

	"portcullis/gateway/call"
)

// sum stands for a text, and the zero sum for none.
type sum [sha256.Size]byte

func sumOf(text string) sum {
	if text == "" {
		return sum{}
	}
	return sha256.Sum256([]byte(text))
}

// policy is a policy in Vault, for operations on an engine, and what its text is.
type policy struct {
	engine, name string
	text         sum
}

// policies are those that tokens depend on, as they should be.
func (s *State) policies() []policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.subjects)
	for _, t := range s.tokenSets {
		list = append(list, t.own()...)
	}
	return list
}

// policiesOf are those that a token set's tokens depend on.
func (s *State) policiesOf(t *tokenSet) (list []policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.subjects {
		if p.engine == t.engine {
			list = append(list, p)
		}
	}
	return append(list, t.own()...)
}

// own is the policy of what a token set's credentials may beyond their subject, if any.
func (t *tokenSet) own() []policy {
	if t.additional == (sum{}) {
		return nil
	}
	return []policy{{t.engine, t.names[len(t.names)-1], t.additional}}
}

// mixed is the State.asOf of rights that were not all worked out as of the same, and no
// other's.
const mixed = "\x00"

// keepTexts keeps what a caller's policies for an engine say, as of what they were worked
// out, until Vault holds it. The caller holds mu.
func (s *State) keepTexts(engine string, p Policies, asOf string) {
	switch s.asOf {
	case asOf:
	case "":
		s.asOf = asOf
	default:
		s.asOf = mixed // whichever was first, there is something to be worked out anew
	}
	now := policy{engine, EnginePolicyName(s.policy, engine), sumOf(p.Subject)}
	s.subjects = append(slices.DeleteFunc(s.subjects, func(was policy) bool { return was.engine == engine }), now)
	for _, hcl := range []string{p.Subject, p.Additional} {
		if hcl == "" {
			continue
		}
		if s.texts == nil {
			s.texts = map[sum]string{}
		}
		s.texts[sumOf(hcl)] = hcl
	}
}

// textOf is what a policy says that is to be written. What Vault held and does not hold any
// more is worked out again.
func (s *State) textOf(p policy) (string, error) {
	if hcl := s.kept(p.text); hcl != "" {
		return hcl, nil
	}
	for _, u := range s.withTokens() {
		if u.engine != p.engine {
			continue
		}
		s.assignTokenSet(u.caller, u.engine)
		if hcl := s.kept(p.text); hcl != "" {
			return hcl, nil
		}
	}
	s.assignSubject(p.engine) // no credential uses the engine
	if hcl := s.kept(p.text); hcl != "" {
		return hcl, nil
	}
	return "", call.Errorf(call.VaultUnavailable, "the caller's rights in Vault are changing; try again")
}

func (s *State) kept(id sum) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts[id]
}

// dropText drops what a policy says: Vault holds it.
func (s *State) dropText(id sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.texts, id); len(s.texts) == 0 {
		s.texts = nil
	}
}

// held is what Vault is known to hold. The caller holds policyWrites.
func (s *State) held(name string) sum {
	for _, p := range s.written {
		if p.name == name {
			return p.text
		}
	}
	return sum{}
}

// note notes what Vault holds. The caller holds policyWrites.
func (s *State) note(p policy) {
	i := slices.IndexFunc(s.written, func(w policy) bool { return w.name == p.name })
	if i < 0 {
		s.written = append(s.written, p)
		return
	}
	s.written[i] = p
}

// gone notes that Vault holds a policy no more. The caller holds policyWrites.
func (s *State) gone(name string) {
	s.written = slices.DeleteFunc(s.written, func(w policy) bool { return w.name == name })
}
