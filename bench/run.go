package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"portcullis/gateway/e2e/stack"
)

// run gives each target of each scenario its turns.
func run(ctx context.Context, o options) (results []*result, err error) {
	var scenarios []*scenario
	for _, name := range o.scenarios {
		s, err := load(name)
		if err != nil {
			return nil, err
		}
		if o.connections > 0 {
			s.Connections = o.connections
		}
		if o.rate > 0 {
			s.Rate = o.rate
		}
		scenarios = append(scenarios, s)
	}
	var own *set
	if o.target == "" {
		dir, err := os.MkdirTemp("", "bench-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if own, err = start(ctx, dir, o.without); err != nil {
			return nil, err
		}
		defer own.stop()
	}
	for _, s := range scenarios {
		r, err := play(ctx, s, o, own)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// play plays one scenario. own is nil for a gateway that is not bench's.
func play(ctx context.Context, s *scenario, o options, own *set) (*result, error) {
	targets, err := targetsOf(ctx, s, o, own)
	if err != nil {
		return nil, err
	}
	r := newResult(s, o)
	for _, t := range targets {
		r.Targets = append(r.Targets, t.result)
		if err := t.try(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %d targets, %d rounds of %s, about %s\n", s.Name, len(targets), o.rounds, o.turn, (time.Duration(len(targets)*(o.rounds+1)) * o.turn).Round(time.Second))
	for round := -1; round < o.rounds; round++ { // the first one warms up
		for i := range targets {
			t := targets[(i+round+1)%len(targets)] // so that nobody always follows the same one
			if err := t.turn(ctx, s, o, own, round); err != nil {
				return nil, err
			}
		}
	}
	r.Load[1] = machineLoad()
	return r, nil
}

func targetsOf(ctx context.Context, s *scenario, o options, own *set) (all []*target, err error) {
	if own != nil {
		if err := own.seed(ctx, s.Secrets); err != nil {
			return nil, err
		}
		return own.targets(s, o.without)
	}
	for _, over := range s.Over {
		t, err := newTarget(s, place{name: "gateway, " + names[over], url: o.target, credential: o.credential, insecure: o.insecure}, over)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// turn drives a target for one turn.
func (t *target) turn(ctx context.Context, s *scenario, o options, own *set, round int) error {
	close, err := t.open(ctx, s, own)
	defer close()
	if err != nil {
		return err
	}
	before, err := t.usage(own)
	if err != nil {
		return err
	}
	start := time.Now()
	r, err := drive(ctx, t, &arrivals{start: start, end: start.Add(o.turn), rate: s.Rate, burst: s.Burst}, s.Connections)
	if err != nil {
		return err
	}
	spent := time.Since(start)
	after, err := t.usage(own)
	if err != nil {
		return err
	}
	if round < 0 {
		return ctx.Err()
	}
	t.result.add(r, spent, before, after)
	if t.front != nil {
		if t.result.PeakBytes, err = peakMemory(t.front.PID()); err != nil {
			return err
		}
	}
	last := t.result.Turns[len(t.result.Turns)-1]
	fmt.Fprintf(os.Stderr, "  round %d of %d: %-32s %7.0f/s  p50 %-8s p99 %-8s %d errors\n", round+1, o.rounds, t.name, last.PerS, micro(last.P50US), micro(last.P99US), last.Errors)
	return ctx.Err()
}

// open opens the event streams of a scenario, which Vault itself and a proxy do not have.
func (t *target) open(ctx context.Context, s *scenario, own *set) (func(), error) {
	if s.Streams == 0 || own != nil && (t.front == nil || t.front == own.proxy) {
		return func() {}, nil
	}
	return t.streams(ctx, s.Streams)
}

// usage is the CPU time so far of the process in front, of Vault and of the driver.
type usage struct{ front, vault, driver time.Duration }

func (t *target) usage(own *set) (u usage, err error) {
	if t.front != nil {
		if u.front, err = cpuTimeOf(t.front); err != nil {
			return u, err
		}
	}
	if own != nil {
		if u.vault, err = cpuTimeOf(own.vault.Process); err != nil {
			return u, err
		}
	}
	u.driver, err = cpuTime(os.Getpid())
	if own == nil && err != nil {
		err = nil // somebody else's gateway can be driven from any system
	}
	return u, err
}

func cpuTimeOf(p *stack.Process) (time.Duration, error) {
	select {
	case <-p.Done():
		return 0, errors.Join(errors.New("a process has ended"), fmt.Errorf("exit code %d: %s", p.ExitCode(), p.Output()))
	default:
		return cpuTime(p.PID())
	}
}
