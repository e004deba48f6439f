// Command bench loads a gateway. It drives a scenario, a mix of calls, at a gateway of its
// own beside what that is compared with, direct Vault and a bare reverse proxy in front of
// the same Vault, or at any gateway that runs already. The turns of all targets are
// interleaved, so that whatever else the machine does meets all of them alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const help = `bench loads a gateway and prints requests a second, latency, CPU a request and memory.

  bench [flags]                     run scenarios
  bench compare OLD.json NEW.json   say what has changed between two results
  bench growth [flags]              show what grows with grants, callers, streams and so on
  bench soak [flags]                keep a gateway under load while things happen to it
  bench list                        describe the scenarios that are shipped

Without --target it starts a dev Vault, a bare reverse proxy and a gateway with
everything on, and compares them. Without --rate the loop is closed: each connection
sends a request when it has its answer. With --rate the loop is open: requests arrive at
a constant rate whatever the answers do, and their time counts from their arrival.

Examples:
  bench                                             kv.read over REST and MCP, beside the proxy
  bench --scenario large-secret --connections 3
  bench --scenario kv-read --rate 100,300,900       latency against rate
  bench --scenario half-peak,one-connection         latency beside the proxy
  bench --scenario kv-read --without logs,limits    what single stages cost
  bench --without evidence+logs+decisions+traces    what all evidence costs together
  bench --redis --scenario one-connection           what state that replicas share adds to a call
  bench --scenario read-heavy,ci-burst --write out.md --svg out.svg --png out.png
  bench --target https://gw.example --credential "X-API-Key: $KEY" --scenario kv-read --rate 50
  bench --scenario my-mix.yaml --json new.json && bench compare old.json new.json

Flags:
`

// options are the command line.
type options struct {
	scenarios   []string
	rounds      int
	turn        time.Duration
	connections int
	rates       []float64 // nil for what the scenario says
	target      string
	credential  string
	insecure    bool
	without     []string
	redis       bool
	write, json string
	svg, png    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs what the arguments ask for.
func command(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "proxy":
		return proxy(ctx, args[1])
	case len(args) > 0 && args[0] == "growth":
		return growth(ctx, args[1:], out)
	case len(args) > 0 && args[0] == "soak":
		return soaking(ctx, args[1:], out)
	case len(args) == 1 && args[0] == "list":
		return describe(out)
	case len(args) == 3 && args[0] == "compare":
		return compareFiles(out, args[1], args[2])
	}
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	results, err := run(ctx, o)
	if err != nil {
		return err
	}
	return publish(out, o, results)
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	var scenarios, without, rates string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&scenarios, "scenario", "kv-read", "`names` of shipped scenarios or YAML files, separated by commas")
	fs.IntVar(&o.rounds, "rounds", 5, "how often each target has its turn, 1 to 100")
	fs.DurationVar(&o.turn, "turn", 2*time.Second, "how long a turn is, 50ms to 30s")
	fs.IntVar(&o.connections, "connections", 0, "connections at once, 1 to 2000; the scenario says otherwise")
	fs.StringVar(&rates, "rate", "", "requests that arrive a second, at most 100000; several `rates` with commas between make a run each; the scenario says otherwise")
	fs.StringVar(&o.target, "target", "", "`URL` of a gateway that runs already")
	fs.StringVar(&o.credential, "credential", "", "`header` with the credential of --target, such as \"X-API-Key: KEY\"")
	fs.BoolVar(&o.insecure, "insecure", false, "do not verify the certificate of --target")
	fs.StringVar(&without, "without", "", "`stages` each of which is off in one gateway more, several with a plus between: "+strings.Join(stageNames(), " "))
	fs.BoolVar(&o.redis, "redis", false, "one gateway more whose limits and sessions are in a Redis that bench starts, as those of replicas are")
	fs.StringVar(&o.write, "write", "", "`file` for the tables, in Markdown")
	fs.StringVar(&o.json, "json", "", "`file` for the results, which compare reads")
	fs.StringVar(&o.svg, "svg", "", "`file` for a picture")
	fs.StringVar(&o.png, "png", "", "`file` for the same picture")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(out)
		_, _ = fmt.Fprint(out, help)
		fs.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	o.scenarios = strings.Split(scenarios, ",")
	if without != "" {
		o.without = strings.Split(without, ",")
	}
	for r := range strings.FieldsFuncSeq(rates, func(r rune) bool { return r == ',' }) {
		rate, err := strconv.ParseFloat(r, 64)
		if err != nil {
			return o, fmt.Errorf("--rate: %w", err)
		}
		o.rates = append(o.rates, rate)
	}
	return o, o.check(fs.Args())
}

// check keeps a run within bounds: it ends by itself, and soon.
func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no command and no flag; see bench --help", rest[0])
	case o.rounds < 1 || o.rounds > 100, o.turn < 50*time.Millisecond || o.turn > 30*time.Second:
		return errors.New("--rounds must be 1 to 100 and --turn 50ms to 30s")
	case o.connections < 0 || o.connections > maxConnections:
		return errors.New("--connections must be 1 to 2000")
	case len(o.rates) > 20 || slices.ContainsFunc(o.rates, func(r float64) bool { return math.IsNaN(r) || r <= 0 || r > 100_000 }):
		return errors.New("--rate must be above 0 and at most 100000, and at most twenty of them")
	case o.target != "" && !strings.Contains(o.credential, ": "):
		return errors.New("--target needs --credential with a header, such as \"X-API-Key: KEY\"")
	case o.target == "" && o.credential != "", o.target != "" && (len(o.without) > 0 || o.redis):
		return errors.New("--credential is for a --target, and --without and --redis for a gateway that bench starts")
	}
	for _, s := range strings.FieldsFunc(strings.Join(o.without, "+"), func(r rune) bool { return r == '+' }) {
		if stages[s] == nil {
			return fmt.Errorf("--without: no stage %q; there are %s", s, strings.Join(stageNames(), " "))
		}
	}
	return nil
}
