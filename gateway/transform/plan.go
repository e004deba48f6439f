package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"portcullis/gateway/transform/guest"
)

// Call is what the selectors of the manifest look at, and what modules may be told.
type Call struct {
	Hook    guest.Hook
	Op      string
	Mount   string
	Subject string
	Roles   []string
	Tenant  string
	// Caller tells callers apart: a failure of a module counts against the one that
	// it failed for. Empty for log records.
	Caller string
	// Result is what the operation's result must look like, for the response hook;
	// nil where nothing is known of it.
	Result *Result
}

// Obligation is a transform that a decision names.
type Obligation struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

// Reasons for which a plan cannot be made. Each denies the call before Vault is
// asked.
var (
	ErrUnknown     = errors.New("no such transform")
	ErrHook        = errors.New("transform is not for this hook")
	ErrSelect      = errors.New("transform is not for this call")
	ErrArgs        = errors.New("arguments of the transform are not valid")
	ErrQuarantined = errors.New("transform is in quarantine")
	ErrTooMany     = errors.New("too many transforms")
	ErrClosed      = errors.New("transforms are closed")
)

// Plan is what will be done to one payload, in order. It belongs to the
// generation that made it.
type Plan struct {
	call    Call
	steps   []*step
	penalty *fuelPenalty
}

// step is one module of a plan, with its arguments.
type step struct {
	*loadedModule
	args   json.RawMessage
	meta   []byte
	caller string
	result *Result
	// hash is the start of the SHA-256 of the arguments, empty without any.
	hash string
}

// Plan merges what the decision names with what is mandatory for the call.
func (g *Generation) Plan(c Call, named []Obligation) (Plan, error) {
	if g.closed {
		return Plan{}, ErrClosed
	}
	p := Plan{call: c, penalty: &g.penalty}
	for _, o := range named {
		if err := p.add(g.byName[o.Name], o); err != nil {
			return Plan{}, fmt.Errorf("%w: %q", err, o.Name)
		}
	}
	for _, u := range g.modules {
		if !u.mandatory() || !slices.Contains(u.hooks, c.Hook) || c.Hook != guest.Log && !u.Select.matches(&c) {
			continue
		}
		if err := p.add(u, Obligation{Name: u.Name}); err != nil {
			return Plan{}, fmt.Errorf("%w: %q", err, u.Name)
		}
	}
	if len(p.steps) > maxSteps {
		return Plan{}, ErrTooMany
	}
	slices.SortStableFunc(p.steps, func(a, b *step) int { return compare(a.Entry, b.Entry) })
	return p, nil
}

func (p *Plan) add(u *loadedModule, o Obligation) error {
	switch {
	case u == nil:
		return ErrUnknown
	case !slices.Contains(u.hooks, p.call.Hook):
		return ErrHook
	case p.call.Hook != guest.Log && !u.Select.matches(&p.call):
		return ErrSelect
	}
	if wait := u.breaker.wait(p.call.Caller); p.call.Hook != guest.Log && wait > 0 {
		return &Unavailable{Module: u.Name, Wait: wait}
	}
	s := &step{loadedModule: u, caller: p.call.Caller, result: p.call.Result}
	if err := s.prepare(p.call, o.Args); err != nil {
		return err
	}
	same := func(q *step) bool { return q.loadedModule == u && bytes.Equal(q.args, s.args) }
	if !slices.ContainsFunc(p.steps, same) {
		p.steps = append(p.steps, s)
	}
	return nil
}

// prepare checks the arguments and lays out the meta part of the input. Log
// modules get none: their input is the same for every record.
func (s *step) prepare(c Call, args json.RawMessage) error {
	canonical, err := s.checkArgs(args)
	if err != nil {
		return err
	}
	s.args = canonical
	if canonical != nil {
		sum := sha256.Sum256(canonical)
		s.hash = hex.EncodeToString(sum[:6])
	}
	if c.Hook == guest.Log {
		return nil
	}
	s.meta, err = json.Marshal(s.metaOf(c, canonical))
	return err
}

// meta is the part of the input that is about the call. What the manifest does not ask for
// is absent.
type meta struct {
	Op      string          `json:"op"`
	Mount   string          `json:"mount"`
	Args    json.RawMessage `json:"args,omitempty"`
	Subject *string         `json:"subject,omitempty"`
	Roles   *[]string       `json:"roles,omitempty"`
	Tenant  *string         `json:"tenant,omitempty"`
}

func (s *step) metaOf(c Call, args json.RawMessage) meta {
	m := meta{Op: c.Op, Mount: c.Mount, Args: args}
	for _, name := range s.Meta {
		switch name {
		case "subject":
			m.Subject = &c.Subject
		case "roles":
			roles := append([]string{}, c.Roles...)
			m.Roles = &roles
		case "tenant":
			m.Tenant = &c.Tenant
		}
	}
	return m
}

// checkArgs returns the arguments with sorted keys, nil for none.
func (s *step) checkArgs(args json.RawMessage) (json.RawMessage, error) {
	if len(args) > maxArgs {
		return nil, ErrArgs
	}
	value := map[string]any{}
	if len(args) > 0 && json.Unmarshal(args, &value) != nil || value == nil {
		return nil, ErrArgs
	}
	if s.loadedModule.args != nil && s.loadedModule.args.Validate(value) != nil || s.loadedModule.args == nil && len(value) > 0 {
		return nil, ErrArgs
	}
	if len(value) == 0 {
		return nil, nil
	}
	return json.Marshal(value)
}

// Len is the number of steps.
func (p Plan) Len() int { return len(p.steps) }

// Steps describes the plan before it runs, for the decision log.
func (p Plan) Steps() []Step {
	out := make([]Step, len(p.steps))
	for i, s := range p.steps {
		out[i] = Step{Name: s.Name, Digest: s.digest, Args: s.hash}
	}
	return out
}
