// Command bench measures the gateway beside what it is compared with: Vault itself
// and a bare reverse proxy in front of the same Vault. Each is a process of its own;
// their turns are interleaved, so that whatever else the machine does meets all of
// them alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const help = `bench drives kv.read over REST and MCP, beside direct Vault and a bare
httputil.ReverseProxy, and prints requests a second, latency and CPU a request.

Examples:
  make bench                                   the default: about a minute
  make bench BENCH="--rounds 2 --turn 500ms"   a quick look
  make bench BENCH="--write bench/RESULTS.md"  keep the table

Flags:
`

// options are the command line.
type options struct {
	rounds  int
	turn    time.Duration
	workers int
	write   string
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "proxy" {
		exit(proxy(os.Args[2]))
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.rounds, "rounds", 5, "how often each target has its turn")
	fs.DurationVar(&o.turn, "turn", 2*time.Second, "how long a turn is, at most 30s")
	fs.IntVar(&o.workers, "workers", 16, "connections at once")
	fs.StringVar(&o.write, "write", "", "`file` that the table is also written to")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(os.Stdout)
		fmt.Print(help)
		fs.PrintDefaults()
	}
	if err == nil && (o.rounds < 1 || o.rounds > 100 || o.turn < 50*time.Millisecond || o.turn > 30*time.Second || o.workers < 1 || o.workers > 1000) {
		err = errors.New("--rounds must be 1 to 100, --turn 50ms to 30s, --workers 1 to 1000")
	}
	return o, err
}

// run starts everything, gives each target its turns, and reports.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	targets := s.targets()
	for round := range o.rounds {
		for i := range targets {
			// The order rotates, so that nobody always follows the same one.
			t := targets[(i+round)%len(targets)]
			if err := s.turn(ctx, t, o); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %-22s %8.0f/s\n", round+1, o.rounds, t.name, t.rate())
		}
	}
	table := report(o, targets)
	fmt.Print(table)
	if o.write == "" {
		return nil
	}
	return os.WriteFile(o.write, []byte(table), 0o644)
}
