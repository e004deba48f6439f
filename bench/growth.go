package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/e2e/stack"
)

const growthHelp = `bench growth shows what a call costs, and what memory is held, when something grows.

One thing grows at a time; everything else stays as it is: a gateway with everything on,
one secret, four connections. At each point the gateway and the bare proxy have their
turns, interleaved, and CPU a request is compared with the proxy's, so that the machine's
own speed cancels out. Memory is what is resident before the turns. It takes about three
minutes, and says at each turn where it is.

Examples:
  bench growth                              the whole table
  bench growth --only streams,callers       two of the things
  bench growth --most 1000 --turn 100ms     a quick look
  bench growth --long --only callers        10000 callers with Vault tokens of their own
  bench growth --write bench/GROWTH.md

Flags:
`

// grown is what is asked for.
type grown struct {
	only   []string
	most   int
	long   bool
	write  string
	rounds options
}

func parseGrowth(args []string, out io.Writer) (g grown, err error) {
	var only string
	fs := flag.NewFlagSet("bench growth", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&only, "only", "", "`things` that grow, separated by commas: "+strings.Join(dimensionNames(), " "))
	fs.IntVar(&g.most, "most", 1<<20, "leave out larger `counts` of anything")
	fs.BoolVar(&g.long, "long", false, "10000 callers with Vault tokens of their own as well, which takes minutes more")
	fs.IntVar(&g.rounds.rounds, "rounds", 3, "how often each target has its turn at a point, 1 to 20")
	fs.DurationVar(&g.rounds.turn, "turn", 300*time.Millisecond, "how long a turn is, 50ms to 5s")
	fs.StringVar(&g.write, "write", "", "`file` for the tables, in Markdown")
	if err = fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(out)
		_, _ = fmt.Fprint(out, growthHelp)
		fs.PrintDefaults()
	}
	if err != nil {
		return g, err
	}
	if only != "" {
		g.only = strings.Split(only, ",")
	}
	return g, g.check(fs.Args())
}

func (g grown) check(rest []string) error {
	for _, name := range g.only {
		if !slices.Contains(dimensionNames(), name) {
			return fmt.Errorf("--only: nothing is called %q; there are %s", name, strings.Join(dimensionNames(), " "))
		}
	}
	switch o := g.rounds; {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag; see bench growth --help", rest[0])
	case o.rounds < 1 || o.rounds > 20, o.turn < 50*time.Millisecond || o.turn > 5*time.Second, g.most < 1:
		return errors.New("--rounds must be 1 to 20, --turn 50ms to 5s and --most at least 1")
	}
	return nil
}

// growth measures every thing that is asked for, and prints its table when it is there.
func growth(ctx context.Context, args []string, out io.Writer) error {
	asked, err := parseGrowth(args, out)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-growth-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	g := &grower{grown: asked}
	fmt.Fprintln(os.Stderr, "starting Vault and the proxy")
	if g.set, err = launch(ctx, dir); err != nil {
		return err
	}
	defer g.set.stop()
	text := fmt.Sprintf("# What grows\n\nMade by `make bench-growth`; `go run ./bench growth --only NAME` makes one table again. %s\n\n", machine())
	for _, d := range dimensions {
		if len(g.only) > 0 && !slices.Contains(g.only, d.name) {
			continue
		}
		points, err := g.grow(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		t := d.table(points)
		text += t
		if _, err := io.WriteString(out, t); err != nil {
			return err
		}
	}
	if g.write == "" {
		return nil
	}
	return os.WriteFile(g.write, []byte(text), 0o644)
}

// grower measures one thing after the other.
type grower struct {
	grown
	set *set
	// gateway is the one in front of which something grows, nil before the first point. A
	// thing that needs one for each point stops the one before.
	gateway *stack.Gateway
	ready   time.Duration // that it took until it was ready
}

// point is what was measured at one count.
type point struct {
	n         int
	ready     time.Duration // 0 for a gateway that was there
	resident  int64         // bytes, before the turns
	rested    int64         // bytes, a while after the turns, where that is measured
	own       int64         // bytes of them that no file backs, where that is measured
	cpu, p50  float64       // of the gateway: µs a request, and µs
	of        float64       // cpu as a share of the bare proxy's
	perSecond float64
}

// grow measures one thing.
func (g *grower) grow(ctx context.Context, d dimension) (points []point, err error) {
	defer func() { err = errors.Join(err, g.end()) }()
	at := d.at
	if g.long {
		at = slices.Concat(at, d.long)
	}
	for _, n := range at {
		if n > g.most {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %d\n", d.name, n)
		p := point{n: n}
		err := d.measure(ctx, g, &p)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		points = append(points, p)
	}
	return points, nil
}

// begin starts a gateway, unless there is one.
func (g *grower) begin(ctx context.Context, name string, env ...string) (err error) {
	if g.gateway != nil {
		return nil
	}
	start := time.Now()
	many := "BUDGETS=" + strings.Join([]string{"requests=16000/0/16000", "calls=16000/0/16000", "sessions=20000/0/20000", "streams=16000/0/16000", "topics=65536/0/65536"}, ",")
	g.gateway, err = g.set.serve(ctx, name, append(env, many, "MAX_CONNECTIONS=16000", "MAX_CONNECTIONS_PER_ADDRESS=16000")...)
	g.ready = time.Since(start)
	return err
}

// end stops the gateway.
func (g *grower) end() error {
	if g.gateway == nil || g.gateway.Process == nil {
		return nil
	}
	err := g.gateway.Kill() // nothing of it is needed any more
	g.gateway = nil
	return err
}

// place is the gateway for the caller of the scenarios.
func (g *grower) place() place {
	return place{name: "gateway", url: g.gateway.URL, credential: "Authorization: Bearer " + g.set.token, prefix: prefix, front: g.gateway.Process}
}

// turns drives the gateway and the proxy, in turns. The first of each warms up.
func (g *grower) turns(ctx context.Context, s *scenario, t *target, p *point) error {
	own, err := g.set.ownToken(ctx)
	if err != nil {
		return err
	}
	proxy, err := newTarget(s, place{name: proxyName, url: g.set.front, credential: own, prefix: prefix, front: g.set.proxy}, "vault")
	if err != nil {
		return err
	}
	if p.resident, err = resident(g.gateway.PID()); err != nil {
		return err
	}
	for round := -1; round < g.rounds.rounds; round++ {
		for _, target := range []*target{t, proxy} {
			if err := target.turn(ctx, s, g.rounds, g.set, round); err != nil {
				return err
			}
		}
	}
	if n := t.result.errors(); n > 0 {
		return fmt.Errorf("%d requests have failed: %s", n, t.result.Error)
	}
	p.cpu, p.p50, p.perSecond = t.result.median(frontCPU), t.result.median(p50), t.result.median(perSecond)
	if front := proxy.result.median(frontCPU); front > 0 {
		p.of = p.cpu / front
	}
	return nil
}
