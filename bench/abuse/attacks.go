package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"portcullis/gateway/e2e/attack"
	"portcullis/gateway/e2e/stack"
)

// attacks makes honest calls beside every attack, each in a gateway of its own, and
// fails when one of them was noticed. With together, all of them run at once in one
// gateway, for that long.
func attacks(ctx context.Context, o options, root, dir string, v *stack.Vault) error {
	list := attack.All()
	if o.together > 0 {
		list = []attack.Attack{attack.Everything()}
		o.turn = o.together
	}
	fmt.Printf("%d honest calls a second beside each attack, %v a line, GOMAXPROCS=2; cores: CPU seconds a second\n", o.rate, o.turn)
	fmt.Printf("%-58s %8s %7s %6s %8s %8s %6s %7s %6s %6s %8s %6s %7s %6s %6s\n", "attack", "sent", "honest", "failed", "p99 ms", "without", "ratio",
		"probes", "failed", "MiB", "evid. KB", "files", "gateway", "Vault", "enemy")
	var found []error
	for i, a := range list {
		if !strings.Contains(a.Name, o.only) {
			continue
		}
		err := beside(ctx, o, stack.GatewayOptions{Root: root, Dir: fmt.Sprintf("%s/%d", dir, i), Env: []string{"GOMAXPROCS=2"}}, v, a)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Println("  NOTICED:", strings.ReplaceAll(err.Error(), "\n", "; "))
			found = append(found, fmt.Errorf("%s: %w", a.Name, err))
		}
	}
	return errors.Join(found...)
}

// beside runs one attack and prints its line.
func beside(ctx context.Context, o options, opts stack.GatewayOptions, v *stack.Vault, a attack.Attack) error {
	if err := os.MkdirAll(opts.Dir, 0o750); err != nil {
		return err
	}
	g, err := attack.Start(ctx, opts, v, a)
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }()
	g.Watch(ctx, nil, o.rate, time.Second) // warms up
	base := g.Watch(ctx, nil, o.rate, min(o.turn, 5*time.Second))
	e, err := enlist(ctx, a, g)
	if err != nil {
		return err
	}
	a.Run = e.run
	start, gateway, vault := time.Now(), used(g.PID()), used(v.PID())
	n := g.Watch(ctx, &a, o.rate, o.turn)
	cores := func(cpu time.Duration) float64 { return cpu.Seconds() / time.Since(start).Seconds() }
	fmt.Printf("%-58.58s %8d %7d %6d %8.1f %8.1f %6.1f %7d %6d %+6d %8d %6d %7.2f %6.2f %6.2f\n", a.Name, n.Requests, n.Calls, len(n.Failed), ms(n.P99), ms(base.P99),
		ms(n.P99)/ms(base.P99), n.Probes, len(n.ProbesFailed), (n.Resident-base.Resident)>>20, (n.EvidenceBytes-base.EvidenceBytes)>>10, n.FilesAfter,
		cores(used(g.PID())-gateway), cores(used(v.PID())-vault), cores(e.cpu))
	if bad := n.Bad(base); len(bad) > 0 {
		return errors.New(strings.Join(bad, "\n"))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
