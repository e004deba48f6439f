package guest_test

import (
	"testing"

	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
)

// BenchmarkWorstCase shows how long one call can hold a thread, and the slowest
// rate at which fuel burns.
func BenchmarkWorstCase(b *testing.B) {
	for _, a := range abuse.Modules() {
		if faults()[a.Name] != guest.Fuel {
			continue
		}
		b.Run(a.Name, func(b *testing.B) {
			m := load(b, a.Bin, guest.Config{Pool: 1, Isolation: guest.Pooled})
			in := input("{}")
			in.Fuel = 8_000_000
			var used int64
			for b.Loop() {
				_, out, _ := m.Append(nil, in)
				used += out.Fuel
			}
			b.ReportMetric(float64(used)/float64(b.Elapsed().Microseconds()), "fuel/us")
		})
	}
}
