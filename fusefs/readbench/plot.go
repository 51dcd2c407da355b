// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth   = 960
	left        = 210 // where the axis begins
	right       = 790 // where it ends; numbers stand to the right of it
	margin      = 24
	rowHeight   = 24
	fileHeight  = 30 // of a file's heading
	titleHeight = 40 // of a mode's heading
	axisHeight  = 44
	headHeight  = 118
)

// colours of trees, in the order in which trees come: Okabe's and Ito's, which
// colour-blind people can tell apart, the kernel's grey first.
func colour(tree int) string {
	colours := [...]string{"#555555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}
	return colours[tree%len(colours)]
}

// WriteSVG draws results: one panel for each mode, in it one line for each file
// and tree, latency to the right on a logarithmic axis that all panels share.
// A dot stands at p50, a thick line reaches from there to p90 and a thin one
// to p99. Rows that timed nothing are written as such.
func WriteSVG(w io.Writer, r Report) error {
	p := plot{trees: distinct(r.Results, func(r Result) string { return r.Tree })}
	slices.SortStableFunc(p.trees, func(a, b string) int { return kernelFirst(a) - kernelFirst(b) })
	p.low, p.high = axisRange(r.Results)
	p.y = headHeight
	for _, mode := range distinct(r.Results, func(r Result) Mode { return r.Mode }) {
		p.panel(mode, slices.DeleteFunc(slices.Clone(r.Results), func(r Result) bool { return r.Mode != mode }))
	}
	height := p.y + margin
	panels := p.b.String()
	p.b.Reset()
	p.head(r)
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13" fill="#222">
<rect width="100%%" height="100%%" fill="#fff"/>
%s%s</svg>
`, plotWidth, height, plotWidth, height, p.b.String(), panels)
	return err
}

// distinct gives the values of a field in the order in which they come.
func distinct[T comparable](results []Result, field func(Result) T) []T {
	var values []T
	for _, r := range results {
		if v := field(r); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// kernelFirst sorts the tree that the others are compared with before them.
func kernelFirst(tree string) int {
	if tree == KernelTree {
		return 0
	}
	return 1
}

// axisRange gives the axis' ends in nanoseconds: round numbers (1, 2 or 5
// times a power of ten) that all times lie between.
func axisRange(results []Result) (low, high float64) {
	low, high = math.Inf(1), 0
	for _, r := range results {
		if r.P50 > 0 {
			low, high = min(low, float64(r.P50)), max(high, float64(r.P99))
		}
	}
	if high == 0 {
		return 1e3, 1e6
	}
	below, above := 1.0, math.Inf(1)
	for _, t := range ticks(0.1, 1e13) {
		if t < low {
			below = t
		}
		if t > high && math.IsInf(above, 1) {
			above = t
		}
	}
	return below, above
}

// ticks gives the numbers 1, 2 and 5 times a power of ten from low to high.
func ticks(low, high float64) []float64 {
	var t []float64
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for _, m := range [...]float64{1, 2, 5} {
			if v := m * math.Pow(10, e); v >= low*0.999 && v <= high*1.001 {
				t = append(t, v)
			}
		}
	}
	return t
}

// plot is a drawing that grows downwards.
type plot struct {
	b         strings.Builder
	y         int // where the next thing goes
	low, high float64
	trees     []string
}

// x gives where a time lies on the axis.
func (p *plot) x(ns float64) float64 {
	part := math.Log(ns/p.low) / math.Log(p.high/p.low)
	return left + part*(right-left)
}

func (p *plot) text(x, y float64, attributes, format string, args ...any) {
	fmt.Fprintf(&p.b, "<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y, attributes, html.EscapeString(fmt.Sprintf(format, args...)))
}

func (p *plot) line(x1, y1, x2, y2 float64, stroke string, width float64) {
	fmt.Fprintf(&p.b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%g\"/>\n", x1, y1, x2, y2, stroke, width)
}

// head writes the title, what the signs mean, and the trees' colours.
func (p *plot) head(r Report) {
	p.text(margin, 32, `font-size="19" font-weight="bold"`, "What one open + read to the end + close takes")
	where := fmt.Sprintf("Linux %s, %d CPUs", r.Host.Kernel, r.Host.CPUs)
	if r.Host.CPU != "" {
		where += " (" + r.Host.CPU + ")"
	}
	if len(r.Results) > 0 {
		where += fmt.Sprintf(", readers: %d", r.Results[0].Readers)
	}
	if !r.Host.Date.IsZero() {
		where += r.Host.Date.Format(", 2006-01-02")
	}
	p.text(margin, 54, `fill="#666"`, "%s", where)
	p.sign(margin+4, 77, 60, 104, colour(0))
	p.text(margin+116, 82, `fill="#666"`, "dot: half of the reads were faster (p50); thick line to p90, thin line to p99; less is better")
	x := float64(margin)
	for i, tree := range p.trees {
		fmt.Fprintf(&p.b, "<circle cx=\"%.1f\" cy=\"101\" r=\"5\" fill=\"%s\"/>\n", x+6, colour(i))
		p.text(x+17, 106, "", "%s", tree)
		x += 40 + 8*float64(len(tree))
	}
}

// sign draws the dot and whiskers of one row.
func (p *plot) sign(p50, y, p90, p99 float64, colour string) {
	p.line(p50, y, p99, y, colour, 1.3)
	p.line(p99, y-4, p99, y+4, colour, 1.3)
	p.line(p50, y, p90, y, colour, 4)
	fmt.Fprintf(&p.b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n", p50, y, colour)
}

// panel draws one mode's results.
func (p *plot) panel(mode Mode, results []Result) {
	explanation := "one read after the other"
	if mode == Cold {
		explanation = "one read each " + duration(float64(ColdPeriod))
	}
	p.text(margin, float64(p.y+22), `font-size="15" font-weight="bold"`, "%s: %s", mode, explanation)
	p.text(plotWidth-margin, float64(p.y+22), `fill="#666" text-anchor="end"`, "p50, × kernel")
	p.y += titleHeight
	top, signs := p.y, p.b.String()
	p.b.Reset()
	for _, file := range distinct(results, func(r Result) string { return r.File }) {
		p.text(margin, float64(p.y+18), `font-weight="bold"`, "%s", file)
		p.y += fileHeight
		for _, tree := range p.trees {
			for _, r := range results {
				if r.File == file && r.Tree == tree {
					p.row(r)
				}
			}
		}
		p.y += 6
	}
	// The grid goes below the signs, but its height is known only now.
	rows := p.b.String()
	p.b.Reset()
	p.b.WriteString(signs)
	p.grid(top)
	p.b.WriteString(rows)
	p.y += axisHeight
}

// row draws one result and writes its numbers.
func (p *plot) row(r Result) {
	y := float64(p.y) + rowHeight/2
	p.y += rowHeight
	colour := colour(slices.Index(p.trees, r.Tree))
	p.text(left-14, y+4.5, `text-anchor="end"`, "%s", r.Tree)
	if r.P50 <= 0 {
		p.text(left+8, y+4.5, `fill="#b00020"`, "no read succeeded")
		return
	}
	p.sign(p.x(float64(r.P50)), y, p.x(float64(r.P90)), p.x(float64(r.P99)), colour)
	number := duration(float64(r.P50))
	if r.Ratio > 0 {
		number += ", " + significant(r.Ratio) + " ×"
	}
	if r.Errors > 0 {
		number += " (!)"
		p.text(left+8, y+4.5, `fill="#b00020" font-size="11"`, "%d wrong reads", r.Errors)
	}
	p.text(plotWidth-margin, y+4.5, `text-anchor="end" fill="`+colour+`"`, "%s", number)
}

// grid draws the axis from top to where the drawing stands.
func (p *plot) grid(top int) {
	bottom := float64(p.y)
	// As many labels as have room: on a long axis only the powers of ten.
	all := ticks(p.low, p.high)
	for _, t := range all {
		x := p.x(t)
		power := math.Abs(math.Log10(t)-math.Round(math.Log10(t))) < 1e-6
		stroke := "#ececec"
		if power {
			stroke = "#c8c8c8"
		}
		p.line(x, float64(top), x, bottom, stroke, 1)
		if power || len(all) <= 12 {
			p.text(x, bottom+18, `text-anchor="middle" fill="#666" font-size="12"`, "%s", duration(t))
		}
	}
	p.line(left, bottom, right, bottom, "#888", 1)
}

// duration writes nanoseconds in the unit that fits.
func duration(ns float64) string {
	for _, u := range [...]struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= u.size*0.9995 {
			return trim(ns/u.size) + " " + u.name
		}
	}
	return trim(ns) + " ns"
}

// trim is significant without the zeros that say nothing.
func trim(v float64) string {
	s := significant(v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
