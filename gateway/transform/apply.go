package transform

import (
	"errors"
	"fmt"
	"time"

	"portcullis/gateway/transform/guest"
)

// Step is one line of the decision log.
type Step struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// Args is a hash: arguments may name secrets.
	Args string `json:"args,omitempty"`
	In   int    `json:"in"`
	Out  int    `json:"out"`
	Fuel int64  `json:"fuel"`
	// Result is "unchanged", "changed" or the code of a failure.
	Result string `json:"result,omitempty"`
}

// Failure is a transform that did not work. The payload must not be used.
type Failure struct {
	Module string
	Code   guest.Code
	Err    error
}

func (f *Failure) Error() string { return fmt.Sprintf("transform %s: %s: %v", f.Module, f.Code, f.Err) }

func (f *Failure) Unwrap() error { return f.Err }

// Quarantined is the code of a module that is not called for now.
const Quarantined guest.Code = "quarantined"

// Apply runs the plan over the payload. The result may be the payload itself; it
// is nil with an error, which is a [*Failure].
func (p Plan) Apply(payload []byte) (out []byte, steps []Step, err error) {
	if len(p.steps) == 0 {
		return payload, nil, nil
	}
	slot, err := p.penalty.enter(p.call.Caller)
	if err != nil {
		return nil, nil, failure(p.steps[0].Name, err)
	}
	start := time.Now()
	defer func() {
		f := (*Failure)(nil)
		p.penalty.leave(p.call.Caller, slot, time.Since(start), errors.As(err, &f) && f.Code == guest.Fuel)
	}()
	return p.all(payload)
}

func (p Plan) all(payload []byte) ([]byte, []Step, error) {
	steps := make([]Step, 0, len(p.steps))
	budget := int64(0)
	for _, s := range p.steps {
		// All steps together may use what the largest of them may.
		budget = max(budget, s.fuel(p.call.Hook, len(payload)))
	}
	for _, s := range p.steps {
		out, step, err := s.apply(nil, p.call.Hook, payload, budget)
		steps = append(steps, step)
		if err != nil {
			return nil, steps, err
		}
		payload = out
		budget -= step.Fuel
	}
	return payload, steps, nil
}

// apply runs one step. What it returns is the payload, or dst with the output.
func (s *step) apply(dst []byte, h guest.Hook, payload []byte, budget int64) ([]byte, Step, error) {
	step := Step{Name: s.Name, Digest: s.digest, Args: s.hash, In: len(payload), Out: len(payload), Result: "unchanged"}
	out, used, err := s.call(dst, h, payload, budget)
	step.Fuel = used.Fuel
	s.metrics.done(h, used.Fuel, err)
	if err != nil {
		f := failure(s.Name, err)
		step.Result, step.Out = string(f.Code), 0
		return nil, step, f
	}
	if used.Changed {
		step.Result, step.Out = "changed", len(out)
		return out, step, nil
	}
	return payload, step, nil
}

func (s *step) call(dst []byte, h guest.Hook, payload []byte, budget int64) ([]byte, guest.Out, error) {
	if len(payload) > s.Limits.input(h) {
		return nil, guest.Out{}, &guest.Fault{Code: guest.Input}
	}
	if !s.breaker.allow(s.caller) {
		return nil, guest.Out{}, &guest.Fault{Code: Quarantined}
	}
	in := s.Input(h, s.meta, payload)
	in.Fuel = min(in.Fuel, budget)
	out, used, err := s.run(dst, s, in)
	s.output.record(s, h, payload, used.Emitted)
	if err == nil && used.Changed {
		err = s.checkOutput(h, out[len(dst):])
	}
	s.settle(err, payload)
	return out, used, err
}

// settle tells the breaker. What a guest says about its input does not count, nor
// does a large input that it had no fuel for: who can store a large secret must
// not be able to put a module into quarantine for everybody.
func (s *step) settle(err error, payload []byte) {
	fault := &guest.Fault{}
	switch {
	case err == nil:
		s.breaker.success(s.caller)
	case errors.As(err, &fault) && (!fault.Own() || fault.Code == guest.Fuel && len(payload) > largeInput):
		s.breaker.undecided(s.caller)
	default:
		s.breaker.failure(s.caller, payload)
	}
}

func failure(name string, err error) *Failure {
	code := guest.Internal
	if fault := (*guest.Fault)(nil); errors.As(err, &fault) {
		code = fault.Code
	}
	return &Failure{name, code, err}
}
