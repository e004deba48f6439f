package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// result is what came of one scenario.
type result struct {
	Scenario    string     `json:"scenario"`
	Doc         string     `json:"doc"`
	Go          string     `json:"go"`
	CPUs        int        `json:"cpus"`
	Load        [2]float64 `json:"load"` // of the machine, before and after
	Rounds      int        `json:"rounds"`
	TurnS       float64    `json:"turn_s"`
	Connections int        `json:"connections"`
	Rate        float64    `json:"rate,omitempty"` // 0 for a closed loop
	Streams     int        `json:"streams,omitempty"`
	Targets     []*outcome `json:"targets"`
}

// outcome is what came of one target.
type outcome struct {
	Target    string `json:"target"`
	Turns     []turn `json:"turns"`
	P50US     int64  `json:"p50_us"` // of all turns together
	P99US     int64  `json:"p99_us"`
	P999US    int64  `json:"p999_us"`
	MaxUS     int64  `json:"max_us"`
	PeakBytes int64  `json:"peak_bytes,omitempty"` // resident, of the process in front
	Error     string `json:"error,omitempty"`      // the first
	times     *hdrhistogram.Histogram
}

// turn is one turn of a target.
type turn struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	PerS     float64 `json:"per_s"`
	P50US    int64   `json:"p50_us"`
	P99US    int64   `json:"p99_us"`
	FrontUS  float64 `json:"front_us"`  // CPU a request of the process in front, 0 for none
	VaultUS  float64 `json:"vault_us"`  // CPU a request of Vault
	DriverUS float64 `json:"driver_us"` // CPU a request of bench itself
}

func newResult(s *scenario, o options) *result {
	return &result{
		Scenario: s.Name, Doc: s.Doc, Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Load: [2]float64{machineLoad()}, Rounds: o.rounds, TurnS: o.turn.Seconds(), Connections: s.Connections, Rate: s.Rate, Streams: s.Streams,
	}
}

// add adds a turn, of which before and after are the CPU times around it.
func (o *outcome) add(r *record, spent time.Duration, before, after usage) {
	n := r.times.TotalCount()
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(max(1, n)) }
	o.Turns = append(o.Turns, turn{
		Requests: int(n), Errors: r.errors, PerS: float64(n) / spent.Seconds(),
		P50US: r.times.ValueAtPercentile(50), P99US: r.times.ValueAtPercentile(99),
		FrontUS: each(after.front - before.front), VaultUS: each(after.vault - before.vault), DriverUS: each(after.driver - before.driver),
	})
	o.times.Merge(r.times)
	o.P50US, o.P99US, o.P999US, o.MaxUS = o.times.ValueAtPercentile(50), o.times.ValueAtPercentile(99), o.times.ValueAtPercentile(99.9), o.times.Max()
	if o.Error == "" && r.first != nil {
		o.Error = r.first.Error()
	}
}

// median is the median over the turns of what the function says of one.
func (o *outcome) median(of func(turn) float64) float64 {
	all := o.values(of)
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

func (o *outcome) values(of func(turn) float64) []float64 {
	var all []float64
	for _, t := range o.Turns {
		all = append(all, of(t))
	}
	return all
}

func (o *outcome) errors() (n int) {
	for _, t := range o.Turns {
		n += t.Errors
	}
	return n
}

// measures are what two results are compared by.
var measures = []struct {
	name   string
	of     func(turn) float64
	better int // +1 when more is better
}{
	{"requests/s", perSecond, 1},
	{"p50", p50, -1},
	{"p99", p99, -1},
	{"CPU in front", frontCPU, -1},
}

func perSecond(t turn) float64 { return t.PerS }
func frontCPU(t turn) float64  { return t.FrontUS }
func p50(t turn) float64       { return float64(t.P50US) }
func p99(t turn) float64       { return float64(t.P99US) }

func save(file string, results []*result) error {
	raw, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}

func open(file string) (results []*result, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &results); err != nil {
		return nil, fmt.Errorf("%s is not a result of bench --json: %w", file, err)
	}
	return results, nil
}
