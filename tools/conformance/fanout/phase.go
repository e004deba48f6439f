package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// phase is what one phase has shown.
type phase struct {
	took []time.Duration // of each write, sorted
	cpu  time.Duration   // of the gateway, for each write
}

// p is a percentile.
func (p phase) p(percent int) time.Duration { return p.took[len(p.took)*percent/100] }

// phase writes at the rate and prints how long the writes took. Writes do not wait
// for each other, so a slow one does not hide others.
func (l *load) phase(name string) (phase, error) {
	var mu sync.Mutex // guards out, failed and why
	var out phase
	var failed int
	var why error
	var wg sync.WaitGroup
	l.mu.Lock()
	l.heard = 0
	l.mu.Unlock()
	cpu := l.cpu()
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	n := int(l.each.Seconds() * float64(l.rate))
	for i := range n {
		<-tick.C
		wg.Go(func() {
			d, err := l.write(i % l.hot)
			mu.Lock()
			defer mu.Unlock()
			if out.took = append(out.took, d); err != nil {
				failed, why = failed+1, err
			}
		})
	}
	wg.Wait()
	out.cpu = (l.cpu() - cpu) / time.Duration(n)
	time.Sleep(time.Second) // let the last events arrive
	slices.Sort(out.took)
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Printf("%-10s %d writes: p50 %6v  p90 %6v  p99 %7v  gateway CPU %v each; %d events heard of %d\n", name, n,
		ms(out.p(50)), ms(out.p(90)), ms(out.p(99)), out.cpu.Round(time.Microsecond), l.heard, 10*n)
	if why != nil {
		return out, fmt.Errorf("%d writes failed, the last one: %w", failed, why)
	}
	return out, nil
}

func ms(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// compare prints how much longer the slow writes took beside dead readers: for each
// phase with them against the mean of the two around it, and for all writes together.
func compare(without, with []phase) {
	var ratios []float64
	var all [2]phase
	for i, p := range with {
		around := (without[i].p(99) + without[i+1].p(99)) / 2
		ratios = append(ratios, p.p(99).Seconds()/around.Seconds())
		all[1].took = append(all[1].took, p.took...)
	}
	var noise []float64
	for i, p := range without {
		all[0].took = append(all[0].took, p.took...)
		if i > 0 {
			noise = append(noise, p.p(99).Seconds()/without[i-1].p(99).Seconds())
		}
	}
	slices.Sort(all[0].took)
	slices.Sort(all[1].took)
	slices.Sort(ratios)
	slices.Sort(noise)
	fmt.Printf("p99 with dead readers to without: median %.2f, from %.2f to %.2f; of all writes together %.2f\n",
		ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], all[1].p(99).Seconds()/all[0].p(99).Seconds())
	fmt.Printf("p99 of one phase without to the one before it, which is noise alone: from %.2f to %.2f\n", noise[0], noise[len(noise)-1])
}
