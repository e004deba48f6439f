package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"portcullis/bench/soak"
	"portcullis/gateway/e2e/stack"
)

const soakHelp = `bench soak keeps a gateway under a mixed load for long.

Three callers read, write, list, encrypt and use tools, each at --rate, and read events.
Once in --every the policy is reloaded, evidence and logs are moved away, every token in
Vault but root's is revoked, and Vault is killed and started again. It fails when a call
failed at any other time or with any other code than one for a Vault that is away, and
when resident memory, goroutines or descriptors of the last quarter are well beyond those
of the second. A line tells of every round.

Examples:
  bench soak                            half an hour, everything once a minute
  bench soak --for 2m --every 20s       a short one
  bench soak --for 8h --rate 20

Flags:
`

func parseSoak(args []string, out io.Writer) (o soak.Options, err error) {
	fs := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.DurationVar(&o.For, "for", 30*time.Minute, "how long, 10s to 24h")
	fs.DurationVar(&o.Every, "every", time.Minute, "how often everything is done to the gateway once, 4s to 1h")
	fs.IntVar(&o.Rate, "rate", 50, "calls a second of each caller, 1 to 1000")
	if err = fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(out)
		_, _ = fmt.Fprint(out, soakHelp)
		fs.PrintDefaults()
	}
	switch {
	case err != nil:
		return o, err
	case fs.NArg() > 0:
		return o, fmt.Errorf("%q is no flag; see bench soak --help", fs.Arg(0))
	case o.For < 10*time.Second || o.For > 24*time.Hour, o.Every < 4*time.Second || o.Every > time.Hour, o.Rate < 1 || o.Rate > 1000:
		return o, errors.New("--for must be 10s to 24h, --every 4s to 1h and --rate 1 to 1000")
	}
	return o, nil
}

// soaking runs a soak and says what was noticed.
func soaking(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseSoak(args, out)
	if err != nil {
		return err
	}
	if o.Root, err = stack.Root(); err != nil {
		return err
	}
	if o.Dir, err = os.MkdirTemp("", "bench-soak-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(o.Dir) }()
	o.Out = out
	fmt.Fprintf(os.Stderr, "soaking for %s, everything once in %s\n", o.For, o.Every)
	r, err := soak.Run(ctx, o)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%d calls in %d rounds; %d failed while something was done to Vault, %d otherwise\n", r.Calls, r.Rounds, r.Excused, len(r.Failures))
	for _, f := range append(r.Failures, r.Grown...) {
		_, _ = fmt.Fprintln(out, "  "+f)
	}
	if len(r.Failures)+len(r.Grown) > 0 {
		return fmt.Errorf("%d calls failed that nothing was done to, and %d things were not flat", len(r.Failures), len(r.Grown))
	}
	return nil
}
