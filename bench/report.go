package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// report is the table, in Markdown. Ratios are to the bare proxy, the second target.
func report(o options, targets []*target) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# kv.read, side by side\n\n%d turns of %s for each target, interleaved; %d connections; %s %s/%s, %d cores, shared by the driver and everything that is driven.\n\n",
		o.rounds, o.turn, o.workers, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	b.WriteString("| target | requests/s | of the proxy | p50 | p99 | CPU a request: in front | of the proxy | Vault | driver |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	proxy := targets[1]
	for _, t := range targets {
		fmt.Fprintf(&b, "| %s | %.0f | %.2f | %s | %s | %s | %s | %s | %s |\n",
			t.name, t.rate(), t.rate()/proxy.rate(), round(t.percentile(0.50)), round(t.percentile(0.99)),
			each(t, t.cpu.front), ratio(each1(t, t.cpu.front), each1(proxy, proxy.cpu.front)), each(t, t.cpu.vault), each(t, t.cpu.driver))
	}
	return b.String()
}

// each1 is what of a time falls to one request.
func each1(t *target, d time.Duration) time.Duration { return d / time.Duration(max(len(t.took), 1)) }

func each(t *target, d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%d µs", each1(t, d).Microseconds())
}

func ratio(a, b time.Duration) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

func round(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
