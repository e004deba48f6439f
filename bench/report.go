package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// publish writes what the options ask for.
func publish(out io.Writer, o options, results []*result) error {
	var b strings.Builder
	for _, r := range results {
		b.WriteString(table(r))
	}
	text := b.String()
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if o.json != "" {
		if err := save(o.json, results); err != nil {
			return err
		}
	}
	if err := pictures(o, results); err != nil || o.write == "" {
		return err
	}
	head := "# What the gateway costs\n\nMade by `make bench`; every line can be made again with the command that `go run ./bench --help` describes. All processes and the driver share the cores; ratios are between targets whose turns were interleaved, and the load is that of the machine beside them.\n\n"
	if o.svg != "" {
		head += fmt.Sprintf("![CPU a request](%s)\n\n", filepath.Base(o.svg))
	}
	return os.WriteFile(o.write, []byte(head+text), 0o644)
}

// pictures writes the picture in each form that is asked for.
func pictures(o options, results []*result) error {
	if o.svg != "" {
		if err := os.WriteFile(o.svg, svg(results), 0o644); err != nil {
			return err
		}
	}
	if o.png == "" {
		return nil
	}
	raw, err := pngOf(results)
	if err != nil {
		return err
	}
	return os.WriteFile(o.png, raw, 0o644)
}

// table is one scenario, in Markdown. Ratios are to the bare proxy, when it is there.
func table(r *result) string {
	var b strings.Builder
	loop := "closed loop"
	if r.Rate > 0 {
		loop = fmt.Sprintf("open loop, %.0f requests arrive a second", r.Rate)
	}
	if r.Streams > 0 {
		loop += fmt.Sprintf(", %d event streams open", r.Streams)
	}
	fmt.Fprintf(&b, "## %s\n\n%s\n\n%d turns of %gs for each target, interleaved; %d connections; %s; %s, %d cores, load %.1f before and %.1f after. Rates, p50, p99 and CPU are medians over the turns.\n\n",
		r.Scenario, r.Doc, r.Rounds, r.TurnS, r.Connections, loop, r.Go, r.CPUs, r.Load[0], r.Load[1])
	b.WriteString("| target | requests/s | of the proxy | p50 | of the proxy | p99 | of the proxy | p99.9 | CPU a request: in front | of the proxy | Vault | driver | peak RSS | errors |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	measure := r.measure()
	for _, o := range r.Targets {
		rate, cpu := o.median(perSecond), o.median(frontCPU)
		of := [4]string{"–", "–", "–", "–"}
		if measure != nil {
			of = [4]string{
				ratio(rate, measure.median(perSecond)), ratio(cpu, measure.median(frontCPU)),
				ratio(o.median(p50), measure.median(p50)), ratio(o.median(p99), measure.median(p99)),
			}
		}
		fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %d |\n", o.Target, rate, of[0],
			micro(o.median(p50)), of[2], micro(o.median(p99)), of[3], micro(float64(o.P999US)), whole(cpu), of[1],
			whole(o.median(func(t turn) float64 { return t.VaultUS })), whole(o.median(func(t turn) float64 { return t.DriverUS })), mib(o.PeakBytes), o.errors())
	}
	b.WriteString(r.above())
	for _, o := range r.Targets {
		if o.Error != "" {
			fmt.Fprintf(&b, "\nFirst error of %s: %s\n", o.Target, o.Error)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// above says, of requests that are sent one at a time, how much longer than Vault's own
// answer the others take. It is empty when there are several at once.
func (r *result) above() string {
	proxy := r.measure()
	if r.Connections != 1 || r.Rate > 0 || proxy == nil {
		return ""
	}
	var b strings.Builder
	vault, front := r.Targets[0].median(p50), proxy.median(p50) // Vault comes first when it can be compared at all
	fmt.Fprintf(&b, "\nA request takes so much longer than Vault's own answer (p50): %s %.0f µs", proxy.Target, front-vault)
	for _, o := range r.Targets[2:] {
		fmt.Fprintf(&b, "; %s %.0f µs, which is %.0f µs more than the proxy", o.Target, o.median(p50)-vault, o.median(p50)-front)
	}
	return b.String() + ".\n"
}

// measure is the target that others are compared with, nil when there is none.
func (r *result) measure() *outcome {
	for _, o := range r.Targets {
		if o.Target == proxyName {
			return o
		}
	}
	return nil
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func whole(us float64) string {
	if us == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f µs", us)
}

func mib(bytes int64) string {
	if bytes == 0 {
		return "–"
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

func micro(us float64) string {
	d := time.Duration(us * float64(time.Microsecond))
	return d.Round(max(time.Microsecond, d/1000)).String()
}
