package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
)

// dimension is one thing that grows.
type dimension struct {
	name    string
	doc     string // what grows, and why it costs what it costs
	unit    string // of which each takes memory; empty where that says nothing
	at      []int
	long    []int // what --long adds: it takes minutes
	measure func(context.Context, *grower, *point) error
}

var dimensions = []dimension{
	{
		"starts", "How often the gateway was started: time until it is ready, and memory two seconds later, when that of the start has been given back. The first half has the configuration of `make run`, the second everything on.", "",
		[]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		nil,
		starts,
	},
	{
		"grants", "Subjects that are granted something. A decision looks the caller up by its name; data are read and checked at the start and on a reload.", "grant",
		[]int{10, 100, 1000, 10_000, 100_000},
		nil,
		grants,
	},
	{
		"callers", "Callers who take turns, each with a token of its own (ES256) and a Vault token of its own that is kept. The proxy has one caller. The first call of each, before the turns, costs the evaluation of its rules for Vault.", "caller with its token of Vault's",
		[]int{1, 10, 100, 1000},
		[]int{10_000},
		callers(true),
	},
	{
		"callers-without", "The same without Vault tokens of their own: what is left is the caller. The difference is a kept token.", "caller",
		[]int{1, 10_000},
		nil,
		callers(false),
	},
	{"bytes", "Size of the secret that is read. The whole answer is checked and redacted; the proxy copies it.", "", []int{100, 1000, 10_000, 100_000, 1 << 20}, nil, sizes},
	{"streams", "Event streams that are open and silent.", "stream", []int{0, 100, 1000, 10_000}, nil, streams},
	{"sessions", "MCP sessions that are open and silent.", "session", []int{0, 100, 1000, 10_000}, nil, sessions},
	{"transforms", "WASM modules that see each answer, one after the other.", "", []int{0, 1, 2, 4, 8}, nil, transforms},
	{"connections", "Connections that ask at once.", "connection", []int{1, 10, 100, 1000}, nil, connections},
}

func dimensionNames() (names []string) {
	for _, d := range dimensions {
		names = append(names, d.name)
	}
	return names
}

// read is the scenario that is driven at each point.
func (g *grower) read(ctx context.Context) (*scenario, error) {
	s, err := load("kv-read")
	if err != nil {
		return nil, err
	}
	s.Connections = 4
	return s, g.set.seed(ctx, s.Secrets)
}

// usual reads the secret as the usual caller.
func (g *grower) usual(ctx context.Context, p *point, change func(*scenario)) error {
	s, err := g.read(ctx)
	if err != nil {
		return err
	}
	change(s)
	t, err := newTarget(s, g.place(), "rest")
	if err != nil {
		return err
	}
	return g.turns(ctx, s, t, p)
}

func same(*scenario) {}

func starts(ctx context.Context, g *grower, p *point) (err error) {
	start := time.Now()
	if p.n <= 5 {
		o := stack.GatewayOptions{Root: g.set.root, Dir: g.set.dir, Env: stack.DevEnv(g.set.root, g.set.vault)}
		g.gateway, err = stack.StartGateway(ctx, o)
	} else {
		g.gateway, err = g.set.serve(ctx, "starts")
	}
	p.ready = time.Since(start)
	if err != nil {
		return err
	}
	retry.Sleep(ctx, 2*time.Second) // the memory of the start is given back after a second
	p.resident, err = resident(g.gateway.PID())
	if err == nil {
		p.own, err = own(g.gateway.PID())
	}
	return errors.Join(err, g.end())
}

func grants(ctx context.Context, g *grower, p *point) error {
	name := fmt.Sprintf("grants-%d", p.n)
	dir, err := g.set.policy(name+"-policy", p.n)
	if err = errors.Join(err, g.end()); err != nil {
		return err
	}
	if err := g.begin(ctx, name, "POLICY_DIR="+dir); err != nil {
		return err
	}
	p.ready = g.ready
	return g.usual(ctx, p, same)
}

func callers(own bool) func(context.Context, *grower, *point) error {
	return func(ctx context.Context, g *grower, p *point) error {
		err := g.begin(ctx, fmt.Sprintf("callers-%v", own), fmt.Sprintf("CHILD_TOKEN_ENABLED=%v", own))
		if err != nil {
			return err
		}
		s, err := g.read(ctx)
		if err != nil {
			return err
		}
		s.Operations[0].REST.Path = "/kv/secret/" + prefix + "/bench/small"
		t, err := newTarget(s, g.place(), "rest")
		if err != nil {
			return err
		}
		one := t.requests[0]
		t.requests, t.order = nil, nil
		for i := range p.n {
			token, err := g.set.issuer.token("ES256", fmt.Sprintf("caller-%d", i))
			if err != nil {
				return err
			}
			q := one
			q.head = strings.Replace(one.head, g.set.token, token, 1)
			t.requests, t.order = append(t.requests, q), append(t.order, i)
		}
		if err := t.everyone(ctx); err != nil {
			return err
		}
		if err := g.turns(ctx, s, t, p); err != nil || !g.long {
			return err
		}
		retry.Sleep(ctx, rest)
		p.rested, err = resident(g.gateway.PID())
		return err
	}
}

// rest is how long nobody calls until a gateway's memory is read once more: what it does not
// use is given back meanwhile.
const rest = 15 * time.Second

// everyone sends each request once, and says every two seconds how far it has come.
func (t *target) everyone(ctx context.Context) error {
	const most = 3 * time.Minute
	now := time.Now()
	a := &arrivals{start: now, end: now.Add(most), count: len(t.requests)}
	done := time.NewTicker(2 * time.Second)
	defer done.Stop()
	var r *record
	var err error
	ended := make(chan struct{})
	go func() { defer close(ended); r, err = drive(ctx, t, a, 16) }()
	for {
		select {
		case <-done.C:
			fmt.Fprintf(os.Stderr, "  %d of %d callers\n", min(int(a.next.Load()), len(t.requests)), len(t.requests))
			continue
		case <-ended:
		}
		if err == nil && r.errors > 0 {
			err = fmt.Errorf("%d of %d callers were refused: %w", r.errors, len(t.requests), r.first)
		}
		return err
	}
}

func sizes(ctx context.Context, g *grower, p *point) error {
	if err := g.begin(ctx, "bytes"); err != nil {
		return err
	}
	if err := g.set.seed(ctx, map[string]int{"bench/large": p.n}); err != nil {
		return err
	}
	return g.usual(ctx, p, func(s *scenario) {
		s.Operations[0].REST.Path = "/secrets/bench/large"
		s.Operations[0].Vault.Path = "secret/data/PREFIX/bench/large"
	})
}

func streams(ctx context.Context, g *grower, p *point) error {
	if err := g.begin(ctx, "streams"); err != nil {
		return err
	}
	s, err := g.read(ctx)
	if err != nil {
		return err
	}
	t, err := newTarget(s, g.place(), "rest")
	if err != nil {
		return err
	}
	const readers = 8 // one caller may not have them all
	for i := range readers {
		token, err := g.set.issuer.token("ES256", fmt.Sprintf("reader-%d", i))
		if err != nil {
			return err
		}
		of := *t
		of.stream.head = strings.Replace(t.stream.head, g.set.token, token, 1)
		stop, err := of.streams(ctx, (p.n+i)/readers)
		defer stop()
		if err != nil {
			return err
		}
	}
	return g.turns(ctx, s, t, p)
}

func sessions(ctx context.Context, g *grower, p *point) error {
	if err := errors.Join(g.end(), g.begin(ctx, fmt.Sprintf("sessions-%d", p.n))); err != nil {
		return err
	}
	s, err := g.read(ctx)
	if err != nil {
		return err
	}
	t, err := newTarget(s, g.place(), "session")
	if err != nil {
		return err
	}
	c := &client{to: t}
	defer c.close()
	if err := c.dial(ctx); err != nil {
		return err
	}
	for range p.n {
		if err := c.begin(); err != nil {
			return err
		}
	}
	return g.turns(ctx, s, t, p)
}

func transforms(ctx context.Context, g *grower, p *point) error {
	raw, err := os.ReadFile(filepath.Join(g.set.root, "wasm", "pii", "pii.wasm"))
	if err != nil {
		return err
	}
	manifest := "apiVersion: portcullis.wasm/v1\nmodules:\n"
	for i := range p.n {
		manifest += fmt.Sprintf("  - {name: pii-%d, file: pii.wasm, sha256: %x, abi: 1, hooks: [response], phase: mask, apply: mandatory, select: {operations: [kv.read]}}\n", i, sha256.Sum256(raw))
	}
	dir := filepath.Join(g.set.dir, fmt.Sprintf("modules-%d", p.n))
	file := filepath.Join(dir, "manifest.yaml")
	err = errors.Join(g.end(), os.MkdirAll(dir, 0o750), os.WriteFile(file, []byte(manifest), 0o600), os.WriteFile(filepath.Join(dir, "pii.wasm"), raw, 0o600))
	if err != nil {
		return err
	}
	var env []string
	if p.n > 0 {
		env = []string{"WASM_MANIFEST=" + file}
	}
	if err := g.begin(ctx, fmt.Sprintf("transforms-%d", p.n), env...); err != nil {
		return err
	}
	p.ready = g.ready
	return g.usual(ctx, p, same)
}

func connections(ctx context.Context, g *grower, p *point) error {
	if err := g.begin(ctx, "connections"); err != nil {
		return err
	}
	return g.usual(ctx, p, func(s *scenario) { s.Connections = p.n })
}

// machine says where the figures come from.
func machine() string {
	return fmt.Sprintf("%s %s/%s, %d cores, load %.1f at the start.", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), machineLoad())
}

// table is one thing in Markdown, with a line that says what is flat.
func (d dimension) table(points []point) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n| %s | ready after | CPU a request | of the proxy | p50 | requests/s | resident |\n|---:|---:|---:|---:|---:|---:|---:|\n", d.name, d.doc, d.name)
	for _, p := range points {
		ready, of, p50, rate := "–", "–", "–", "–"
		if p.ready > 0 {
			ready = p.ready.Round(time.Millisecond).String()
		}
		if p.cpu > 0 {
			of, p50, rate = fmt.Sprintf("%.2f", p.of), micro(p.p50), fmt.Sprintf("%.0f", p.perSecond)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", p.n, ready, whole(p.cpu), of, p50, rate, mib(p.resident))
	}
	return b.String() + "\n" + d.verdict(points) + "\n\n"
}

// flat is how much more, or less, a call may cost at the largest count than at the smallest
// for it to be called the same: turns differ by as much on a machine that others use too.
const flat = 1.25

// verdict compares the last point with the first.
func (d dimension) verdict(points []point) string {
	if len(points) < 2 {
		return ""
	}
	first, last := points[0], points[len(points)-1]
	if d.name == "starts" {
		return "Median of the first half: " + median(points[:len(points)/2]) + ". Of the second: " + median(points[len(points)/2:]) + "."
	}
	says := fmt.Sprintf("From %d to %d, CPU a request beside the proxy's ", first.n, last.n)
	switch change := last.of / first.of; {
	case change > flat:
		says += fmt.Sprintf("grows to %.2f times.", change)
	case change < 1/flat:
		says += fmt.Sprintf("falls to %.2f times.", change)
	default:
		says += fmt.Sprintf("is flat (%.2f times).", change)
	}
	if d.unit != "" && last.n > first.n {
		says += fmt.Sprintf(" A %s takes %.1f KiB.", d.unit, float64(last.resident-first.resident)/1024/float64(last.n-first.n))
	}
	if last.rested > 0 {
		says += fmt.Sprintf(" When nobody has called for %v, %s are resident.", rest, mib(last.rested))
	}
	return says
}

// median says after what time gateways are ready, and what they then hold.
func median(points []point) string {
	ready, held, own := make([]time.Duration, len(points)), make([]int64, len(points)), make([]int64, len(points))
	for i, p := range points {
		ready[i], held[i], own[i] = p.ready, p.resident, p.own
	}
	slices.Sort(ready)
	slices.Sort(held)
	slices.Sort(own)
	return fmt.Sprintf("ready after %s, %s resident, of which %s are its own and the others mapped pages of the program",
		ready[len(ready)/2].Round(time.Millisecond), mib(held[len(held)/2]), mib(own[len(own)/2]))
}
