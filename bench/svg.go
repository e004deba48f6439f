package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the picture, in pixels.
const (
	barHeight  = 18
	barStep    = 26
	labelWidth = 240
	plotWidth  = 480
)

// picture is an SVG with two bars for each target: CPU a request of the process in front,
// and the time of an answer, from p50 to p99. Scales are those of each scenario.
func picture(results []*result) []byte {
	var b strings.Builder
	y := 10
	for _, r := range results {
		y += 24
		text(&b, [2]int{10, y}, "bold", fmt.Sprintf("%s: CPU a request in front of Vault (bar), p50 to p99 (line)", r.Scenario))
		y += 10
		cpu, slow := 1.0, 1.0
		for _, o := range r.Targets {
			cpu, slow = max(cpu, o.median(frontCPU)), max(slow, float64(o.P99US))
		}
		for _, o := range r.Targets {
			bars(&b, o, y, [2]float64{plotWidth / cpu, plotWidth / slow})
			y += barStep
		}
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12"><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", labelWidth+plotWidth+160, y+10)
	return []byte(head + b.String() + "</svg>\n")
}

// bars draws one target; scale is pixels for a microsecond of CPU and of time.
func bars(b *strings.Builder, o *outcome, y int, scale [2]float64) {
	cpu := o.median(frontCPU)
	text(b, [2]int{10, y + 13}, "normal", o.Target)
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.0f" height="%d" fill="#7aa6c2"/>`+"\n", labelWidth, y, cpu*scale[0], barHeight-6)
	from, to := labelWidth+float64(o.P50US)*scale[1], labelWidth+float64(o.P99US)*scale[1]
	fmt.Fprintf(b, `<line x1="%.0f" y1="%d" x2="%.0f" y2="%d" stroke="#c25b4e" stroke-width="3"/>`+"\n", from, y+barHeight-2, to, y+barHeight-2)
	text(b, [2]int{labelWidth + plotWidth + 8, y + 13}, "normal", whole(cpu)+", "+micro(o.P50US)+" to "+micro(o.P99US))
}

func text(b *strings.Builder, at [2]int, weight, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="%s">%s</text>`+"\n", at[0], at[1], weight, html.EscapeString(s))
}
