// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// Measures of the drawings of latency, in pixels.
const (
	rowHeight  = 30
	hillHeight = 17
	fileHeight = 30 // of a file's heading
	axisHeight = 44
)

// setting is what a drawing of latency is for.
type setting struct {
	mode                readbench.Mode
	readers, containers int
}

func settingOf(r readbench.Result) setting { return setting{r.Mode, r.Readers, r.Containers} }

// panel is a drawing of latency.
type panel struct {
	*page
	low, high float64 // the ends of the axis, in nanoseconds
}

// latencies draws a panel for each setting.
func (p *page) latencies(results []readbench.Result) {
	drawing := panel{page: p}
	drawing.low, drawing.high = axisRange(results)
	for _, s := range distinct(results, settingOf) {
		drawing.draw(s, slices.DeleteFunc(slices.Clone(results), func(r readbench.Result) bool { return settingOf(r) != s }))
	}
}

// axisRange gives the axis' ends in nanoseconds: round numbers that all that is
// drawn lies between.
func axisRange(results []readbench.Result) (low, high float64) {
	low, high = math.Inf(1), 0
	for _, r := range results {
		if r.P50 > 0 {
			low, high = min(low, float64(r.P50)), max(high, float64(r.P99))
		}
		for _, b := range shown(r.Distribution) {
			low, high = min(low, float64(max(1, b.From))), max(high, float64(b.To))
		}
	}
	if high == 0 {
		return 1e3, 1e6
	}
	return around(low, high)
}

// shown are the bins that are drawn: without the fastest 0.5 % and the slowest
// 1 % of reads, which would make the axis long and the hills flat.
func shown(d readbench.Distribution) []readbench.Bin {
	total, seen := float64(d.Reads()), 0.0
	var bins []readbench.Bin
	for _, b := range d {
		before := seen
		seen += float64(b.Reads)
		if seen > 0.005*total && before < 0.99*total {
			bins = append(bins, b)
		}
	}
	return bins
}

// x gives where a time lies on the axis.
func (p *panel) x(ns float64) float64 {
	part := math.Log(max(ns, p.low)/p.low) / math.Log(p.high/p.low)
	return left + part*(right-left)
}

// draw draws one setting's results.
func (p *panel) draw(s setting, results []readbench.Result) {
	explanation := "one read after the other"
	if s.mode == readbench.Cold {
		explanation = "one read each " + duration(float64(readbench.ColdPeriod))
	}
	if s.readers > 1 {
		explanation += fmt.Sprintf(", %d readers", s.readers)
	}
	if s.containers > 1 {
		explanation += fmt.Sprintf(", %d containers registered", s.containers)
	}
	p.title("p50, × kernel", "%s: %s", s.mode, explanation)
	top, above := p.y, p.take()
	for _, file := range distinct(results, func(r readbench.Result) string { return r.File }) {
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
	rows := p.take()
	p.b.WriteString(above)
	p.grid(top)
	p.b.WriteString(rows)
	p.y += axisHeight
}

// row draws one result and writes its numbers.
func (p *panel) row(r readbench.Result) {
	y := float64(p.y) + rowHeight - 10
	p.y += rowHeight
	colour := p.colour(r.Tree)
	p.text(left-14, y+4.5, `text-anchor="end"`, "%s", r.Tree)
	if r.P50 <= 0 {
		p.text(left+8, y+4.5, `fill="`+red+`"`, "no read succeeded")
		return
	}
	p.hill(shown(r.Distribution), y, colour)
	p.sign(p.x(float64(r.P50)), y, p.x(float64(r.P90)), p.x(float64(r.P99)), colour)
	text := duration(float64(r.P50))
	if r.Ratio > 0 {
		text += ", " + readbench.Significant(r.Ratio) + " ×"
	}
	if r.Errors > 0 {
		text += " (!)"
		p.text(left+8, y+4.5, `fill="`+red+`" font-size="11"`, "%d wrong reads", r.Errors)
	}
	p.text(pageWidth-margin, y+4.5, `text-anchor="end" fill="`+colour+`"`, "%s", text)
}

// hill draws a distribution above a line, as high as hillHeight where it is
// densest: reads per length of the axis, not of time.
func (p *panel) hill(bins []readbench.Bin, y float64, colour string) {
	density := func(b readbench.Bin) float64 {
		return float64(b.Reads) / math.Log(float64(b.To)/float64(max(1, b.From)))
	}
	highest := 0.0
	for _, b := range bins {
		if b.To > 1 {
			highest = max(highest, density(b))
		}
	}
	if highest == 0 {
		return
	}
	var path strings.Builder
	fmt.Fprintf(&path, "M%.1f %.1f", p.x(float64(bins[0].From)), y)
	last := bins[0].From
	for _, b := range bins {
		if b.To <= 1 {
			continue
		}
		if b.From > last { // nothing between
			fmt.Fprintf(&path, "L%.1f %.1fL%.1f %.1f", p.x(float64(last)), y, p.x(float64(b.From)), y)
		}
		h := y - hillHeight*density(b)/highest
		fmt.Fprintf(&path, "L%.1f %.1fL%.1f %.1f", p.x(float64(b.From)), h, p.x(float64(b.To)), h)
		last = b.To
	}
	fmt.Fprintf(&p.b, "<path d=\"%sL%.1f %.1fZ\" fill=\"%s\" fill-opacity=\"0.3\"/>\n", path.String(), p.x(float64(last)), y, colour)
}

// sign draws the dot and whiskers of one row.
func (p *page) sign(p50, y, p90, p99 float64, colour string) {
	p.line(p50, y, p99, y, colour, 1.3)
	p.line(p99, y-4, p99, y+4, colour, 1.3)
	p.line(p50, y, p90, y, colour, 4)
	p.dot(p50, y, 5, colour)
}

// grid draws the axis from top to where the drawing stands.
func (p *panel) grid(top int) {
	bottom := float64(p.y)
	// As many labels as have room: on a long axis only the powers of ten.
	all := ticks(p.low, p.high)
	for _, t := range all {
		stroke := "#ececec"
		if power(t) {
			stroke = "#c8c8c8"
		}
		p.line(p.x(t), float64(top), p.x(t), bottom, stroke, 1)
		if power(t) || len(all) <= 12 {
			p.text(p.x(t), bottom+18, `text-anchor="middle" fill="`+grey+`" font-size="12"`, "%s", duration(t))
		}
	}
	p.line(left, bottom, right, bottom, "#888", 1)
}
