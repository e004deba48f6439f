// Command abuse shows what an honest caller notices while others attack: a real
// gateway in front of a real Vault, honest calls at a steady rate, and one attack after
// the other. With --modules the attacks are WASM modules that misbehave.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"portcullis/gateway/e2e/hostile"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/transform/abuse"
)

const help = `abuse makes honest calls while somebody attacks the same gateway, and prints for each
attack what became of the honest calls, the probes, the memory, the evidence. Exit
code 1 says that an attack was noticed: an honest call or a probe failed, more than
64 MiB were held, evidence was lost, or descriptors stayed open. Times are printed,
not judged.

Examples:
  go run ./bench/abuse                          every attack, each for 10 seconds
  go run ./bench/abuse --only HTTP/2            those with a name like that
  go run ./bench/abuse --together 10m           all at once
  go run ./bench/abuse --modules --rate 500     hostile WASM modules

Flags:
`

// options are the command line.
type options struct {
	turn     time.Duration
	together time.Duration
	only     string
	modules  bool
	rate     int
	callers  int
	as, at   string // what the attacker's own process is started with
}

func main() {
	var o options
	fs := flag.NewFlagSet("abuse", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.DurationVar(&o.turn, "turn", 10*time.Second, "how long each attack lasts, at most 30s")
	fs.DurationVar(&o.together, "together", 0, "all attacks at once, for that long, at most 30m")
	fs.StringVar(&o.only, "only", "", "attacks whose name contains this")
	fs.BoolVar(&o.modules, "modules", false, "hostile WASM modules instead")
	fs.IntVar(&o.rate, "rate", 100, "honest calls a second")
	fs.IntVar(&o.callers, "callers", 1, "how many call the module at once, at most 64")
	fs.StringVar(&o.as, "as", "", "be the attacker of that name, for --at (the command starts itself like this)")
	fs.StringVar(&o.at, "at", "", "the address of the gateway that --as attacks")
	err := fs.Parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(os.Stdout)
		fmt.Print(help)
		fs.PrintDefaults()
		return
	}
	if err == nil && (o.turn < 100*time.Millisecond || o.turn > 30*time.Second || o.rate < 1 || o.rate > 5000 || o.callers < 1 || o.callers > 64 || o.together < 0 || o.together > 30*time.Minute) {
		err = errors.New("--turn must be 100ms to 30s, --rate 1 to 5000, --callers 1 to 64, --together at most 30m")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
		os.Exit(2)
	}
	if o.as != "" {
		if err := be(o.as, o.at); err != nil {
			fmt.Fprintln(os.Stderr, "abuse:", err)
			os.Exit(2)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	root, err := stack.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "abuse-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	v, err := stack.StartVault(ctx, root, dir, "--audit-file=")
	if err != nil {
		return err
	}
	defer func() { _ = v.Stop() }() // the figures are there
	if !o.modules {
		return attacks(ctx, o, root, dir, v)
	}
	for _, procs := range []int{2, 1} {
		if err := suite(ctx, o, v, stack.GatewayOptions{Root: root, Dir: dir, Env: []string{fmt.Sprintf("GOMAXPROCS=%d", procs)}}); err != nil {
			return err
		}
	}
	return nil
}

// suite runs every module in one gateway, with a control run before and after.
func suite(ctx context.Context, o options, v *stack.Vault, opts stack.GatewayOptions) error {
	g, err := hostile.Start(ctx, opts, v)
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }()
	g.Honest(ctx, o.rate, o.turn) // warm up
	fmt.Printf("\n%s, %d calls a second beside %d, %v a line\n", opts.Env[0], o.rate, o.callers, o.turn)
	fmt.Printf("%-32s %8s %6s %6s %7s %7s %9s %9s %8s\n", "module", "hostile", "502", "503", "honest", "failed", "p99 ms", "max ms", "RSS MiB")
	line(ctx, o, g, -1)
	for i, m := range g.Modules {
		if m.Stage == abuse.Call {
			line(ctx, o, g, i)
		}
	}
	line(ctx, o, g, -1)
	return ctx.Err()
}

// line calls one module, or none, beside honest calls.
func line(ctx context.Context, o options, g *hostile.Gateway, i int) {
	running, stop := context.WithCancel(ctx)
	got := map[int]int{}
	var mu sync.Mutex // guards got
	var wg sync.WaitGroup
	for range o.callers {
		wg.Go(func() {
			for i >= 0 && running.Err() == nil {
				if status, _, err := g.Call(ctx, i); err == nil {
					mu.Lock()
					got[status]++
					mu.Unlock()
				}
			}
		})
	}
	n := g.Honest(ctx, o.rate, o.turn)
	stop()
	wg.Wait()
	name, total := "nobody", 0
	if i >= 0 {
		name = g.Modules[i].Name
	}
	for _, k := range got {
		total += k
	}
	fmt.Printf("%-32.32s %8d %6d %6d %7d %7d %9.1f %9.1f %8d\n", name, total, got[502], got[503], n.Calls, len(n.Failed),
		float64(n.P99.Microseconds())/1000, float64(n.Max.Microseconds())/1000, resident(g.PID())>>20)
}

// resident is the memory of a process, 0 where the system does not tell.
func resident(pid int) int {
	var size, pages int
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		_, _ = fmt.Sscan(string(text), &size, &pages) // the kernel's own format
	}
	return pages * os.Getpagesize()
}
