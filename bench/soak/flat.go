package soak

import (
	"fmt"
	"slices"
)

// grown says what is not flat: the median of the last quarter of the samples is well
// beyond that of the second. The first quarter warms up.
func grown(all []sample) (out []string) {
	if len(all) < 4 {
		return nil
	}
	q := len(all) / 4
	early, late := all[q:2*q], all[len(all)-q:]
	for _, m := range []struct {
		name  string
		of    func(sample) float64
		share float64 // by which it may grow
		slack float64 // and what it may grow by beside that
	}{
		{"resident bytes", func(s sample) float64 { return s.resident }, 0.15, 32 << 20},
		{"goroutines", func(s sample) float64 { return s.goroutines }, 0.1, 25},
		{"descriptors", func(s sample) float64 { return s.files }, 0.1, 25},
	} {
		if a, b := median(early, m.of), median(late, m.of); b > a*(1+m.share)+m.slack {
			out = append(out, fmt.Sprintf("%s grew from %.0f to %.0f", m.name, a, b))
		}
	}
	return out
}

func median(all []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
