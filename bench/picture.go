package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Sizes of the picture, in pixels.
const (
	barHeight  = 12
	barStep    = 26
	labelWidth = 280
	plotWidth  = 460
	width      = labelWidth + plotWidth + 180
	textSize   = 12
)

// Colours: CPU, time.
var (
	blue = color.RGBA{0x7a, 0xa6, 0xc2, 0xff}
	red  = color.RGBA{0xc2, 0x5b, 0x4e, 0xff}
)

// canvas is what is drawn on: an SVG or an image.
type canvas interface {
	rect(r image.Rectangle, c color.RGBA)
	text(at image.Point, bold bool, s string) // at is the left end of the base line
}

// drawResults draws two bars for each target: CPU a request of the process in front, and the
// time of an answer, from p50 to p99. Scales are those of each scenario.
func drawResults(to canvas, results []*result) {
	y := 10
	for _, r := range results {
		y += 24
		to.text(image.Pt(10, y), true, r.Scenario+": CPU a request in front of Vault (blue), p50 to p99 (red)")
		y += 10
		cpu, slow := 1.0, 1.0
		for _, o := range r.Targets {
			cpu, slow = max(cpu, o.median(frontCPU)), max(slow, o.median(p99))
		}
		for _, o := range r.Targets {
			bars(to, o, y, [2]float64{plotWidth / cpu, plotWidth / slow})
			y += barStep
		}
	}
}

// height is that of the picture.
func height(results []*result) int {
	y := 20
	for _, r := range results {
		y += 34 + barStep*len(r.Targets)
	}
	return y
}

// bars draws one target; scale is pixels for a microsecond of CPU and of time.
func bars(to canvas, o *outcome, y int, scale [2]float64) {
	cpu := o.median(frontCPU)
	to.text(image.Pt(10, y+13), false, o.Target)
	to.rect(image.Rect(labelWidth, y, labelWidth+int(cpu*scale[0]), y+barHeight), blue)
	to.rect(image.Rect(labelWidth+int(o.median(p50)*scale[1]), y+barHeight+2, labelWidth+int(o.median(p99)*scale[1]), y+barHeight+5), red)
	to.text(image.Pt(labelWidth+plotWidth+8, y+13), false, whole(cpu)+", "+micro(o.median(p50))+" to "+micro(o.median(p99)))
}

// vector is a canvas for an SVG.
type vector struct{ strings.Builder }

func (v *vector) rect(r image.Rectangle, c color.RGBA) {
	_, _ = fmt.Fprintf(v, `<rect x="%d" y="%d" width="%d" height="%d" fill="#%02x%02x%02x"/>`+"\n", r.Min.X, r.Min.Y, r.Dx(), r.Dy(), c.R, c.G, c.B)
}

func (v *vector) text(at image.Point, bold bool, s string) {
	weight := map[bool]string{true: "bold", false: "normal"}[bold]
	_, _ = fmt.Fprintf(v, `<text x="%d" y="%d" font-weight="%s">%s</text>`+"\n", at.X, at.Y, weight, html.EscapeString(s))
}

// svg is the picture as an SVG.
func svg(results []*result) []byte {
	var v vector
	drawResults(&v, results)
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="%d"><rect width="100%%" height="100%%" fill="#fff"/>`+"\n%s</svg>\n",
		width, height(results), textSize, v.String())
}

// raster is a canvas for a PNG.
type raster struct {
	img   *image.RGBA
	faces map[bool]font.Face // by bold
}

func (r *raster) rect(at image.Rectangle, c color.RGBA) {
	draw.Draw(r.img, at, image.NewUniform(c), image.Point{}, draw.Src)
}

func (r *raster) text(at image.Point, bold bool, s string) {
	d := font.Drawer{Dst: r.img, Src: image.Black, Face: r.faces[bold], Dot: fixed.P(at.X, at.Y)}
	d.DrawString(s)
}

// pngOf is the picture as a PNG.
func pngOf(results []*result) ([]byte, error) {
	regular, err := face(goregular.TTF)
	bold, berr := face(gobold.TTF)
	if err := errors.Join(err, berr); err != nil {
		return nil, err
	}
	r := &raster{image.NewRGBA(image.Rect(0, 0, width, height(results))), map[bool]font.Face{false: regular, true: bold}}
	draw.Draw(r.img, r.img.Bounds(), image.White, image.Point{}, draw.Src)
	drawResults(r, results)
	var b bytes.Buffer
	err = png.Encode(&b, r.img)
	return b.Bytes(), err
}

func face(ttf []byte) (font.Face, error) {
	f, err := opentype.Parse(ttf)
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: textSize, DPI: 72})
}
