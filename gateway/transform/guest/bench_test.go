package guest_test

import (
	"testing"

	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
)

// BenchmarkWorstCase shows how long one call with the default fuel can hold a
// thread, and the slowest rate at which fuel burns.
func BenchmarkWorstCase(b *testing.B) {
	for _, a := range append(abuse.Slow(), abuse.Modules()...) {
		if code, known := faults()[a.Name]; known && code != guest.Fuel || a.Stage != abuse.Call {
			continue
		}
		b.Run(a.Name, func(b *testing.B) {
			m := load(b, a.Bin, guest.Config{Pool: 1})
			var used int64
			for b.Loop() {
				_, out, _ := m.Append(nil, input("{}"))
				used += out.Fuel
			}
			b.ReportMetric(float64(used)/float64(b.Elapsed().Microseconds()+1), "fuel/us")
		})
	}
}
