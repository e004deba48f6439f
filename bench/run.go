package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/e2e/stack"
)

// run gives each target of each scenario its turns.
func run(ctx context.Context, o options) (results []*result, err error) {
	scenarios, err := o.load()
	if err != nil {
		return nil, err
	}
	var own *set
	if o.target == "" {
		dir, err := os.MkdirTemp("", "bench-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		fmt.Fprintf(os.Stderr, "starting Vault, the proxy and %d gateways\n", len(o.variants())+1)
		if own, err = start(ctx, dir, o); err != nil {
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

// load reads the scenarios, each of them at every rate that is asked for.
func (o options) load() (all []*scenario, err error) {
	for _, name := range o.scenarios {
		s, err := load(name)
		if err != nil {
			return nil, err
		}
		if o.connections > 0 {
			s.Connections = o.connections
		}
		for _, rate := range o.rates {
			at := *s
			at.Rate = rate
			if len(o.rates) > 1 {
				at.Name = fmt.Sprintf("%s at %g/s", s.Name, rate)
			}
			all = append(all, &at)
		}
		if len(o.rates) == 0 {
			all = append(all, s)
		}
	}
	return all, nil
}

// play plays one scenario. own is nil for a gateway that is not bench's.
func play(ctx context.Context, s *scenario, o options, own *set) (*result, error) {
	targets, err := targetsOf(ctx, s, o, own)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if err := t.try(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w%s", t.name, err, s.needs(own))
		}
	}
	if s.Rate == 0 && s.OfPeak > 0 {
		if s.Rate, err = s.share(ctx, targets, o.turn); err != nil {
			return nil, err
		}
	}
	r := newResult(s, o)
	for _, t := range targets {
		r.Targets = append(r.Targets, t.result)
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

// needs says what somebody else's gateway must have, for the one who reads that a request
// has failed.
func (s *scenario) needs(own *set) string {
	if own != nil || len(s.Secrets) == 0 {
		return ""
	}
	return fmt.Sprintf(" (below the caller's prefix the scenario reads %s)", strings.Join(slices.Sorted(maps.Keys(s.Secrets)), ", "))
}

// share is the scenario's share of the peak: of the requests a second that the slowest
// target answers in a closed loop. Each has a turn to warm up, and one that counts.
func (s *scenario) share(ctx context.Context, targets []*target, turn time.Duration) (rate float64, err error) {
	fmt.Fprintf(os.Stderr, "%s: looking for the peak, about %s\n", s.Name, (time.Duration(2*len(targets)) * turn).Round(time.Second))
	for _, t := range targets {
		var perS float64
		for range 2 {
			start := time.Now()
			r, err := drive(ctx, t, &arrivals{start: start, end: start.Add(turn)}, s.Connections)
			if err != nil {
				return 0, err
			}
			perS = float64(r.times.TotalCount()) / time.Since(start).Seconds()
		}
		if rate == 0 || perS < rate {
			rate = perS
		}
	}
	return max(1, math.Round(rate*s.OfPeak)), nil
}

func targetsOf(ctx context.Context, s *scenario, o options, own *set) (all []*target, err error) {
	if own != nil {
		if err := own.seed(ctx, s.Secrets); err != nil {
			return nil, err
		}
		return own.targets(ctx, s, o.variants())
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
	fmt.Fprintf(os.Stderr, "  round %d of %d: %-32s %7.0f/s  p50 %-8s p99 %-8s %d errors\n", round+1, o.rounds, t.name, last.PerS, micro(p50(last)), micro(p99(last)), last.Errors)
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
