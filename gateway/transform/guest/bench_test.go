package guest_test

import (
	"fmt"
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

// BenchmarkReset is a call of a guest that does nothing, with its state restored
// afterwards: what isolation costs with a memory of so many pages.
func BenchmarkReset(b *testing.B) {
	for _, pages := range []byte{2, 17, 127} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			m := load(b, abuse.Idle(pages), guest.Config{Pool: 1})
			for b.Loop() {
				if _, _, err := m.Append(nil, input("{}")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReplace is a call that fails, and the new instance that it leads to.
func BenchmarkReplace(b *testing.B) {
	for _, pages := range []byte{2, 17, 127} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			m := load(b, abuse.Idle(pages), guest.Config{Pool: 1})
			in := input("{}")
			in.Fuel = 0
			for b.Loop() {
				if _, _, err := m.Append(nil, in); err == nil {
					b.Fatal("no error without fuel")
				}
			}
		})
	}
}
