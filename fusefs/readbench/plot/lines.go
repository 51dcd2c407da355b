// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// lineHeight is that of a drawing with lines, without title and axis.
const lineHeight = 200

// point is one number that was measured.
type point struct{ x, y float64 }

// curve is what one tree did as something grew.
type curve struct {
	name, colour string
	points       []point
}

// lines draws curves: x logarithmic, with the values that were measured as its
// labels; y from 0.
func (p *page) lines(across string, value func(float64) string, curves []curve) {
	var xs []float64
	highest := 0.0
	for _, c := range curves {
		for _, at := range c.points {
			xs = append(xs, at.x)
			highest = max(highest, at.y)
		}
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	low, high := xs[0], xs[len(xs)-1]
	_, top := around(highest, highest)
	x := func(v float64) float64 { return left + math.Log(v/low)/math.Log(high/low)*(right-left) }
	bottom := float64(p.y + lineHeight)
	y := func(v float64) float64 { return bottom - v/top*lineHeight }
	for part := range 5 {
		v := top * float64(part) / 4
		p.line(left, y(v), right, y(v), "#ececec", 1)
		p.text(left-14, y(v)+4.5, `text-anchor="end" fill="`+grey+`"`, "%s", value(v))
	}
	for _, v := range xs {
		p.line(x(v), bottom, x(v), bottom+5, "#888", 1)
		p.text(x(v), bottom+20, `text-anchor="middle" fill="`+grey+`"`, "%.0f", v)
	}
	p.line(left, bottom, right, bottom, "#888", 1)
	p.text(right+40, bottom+20, `fill="`+grey+`"`, "%s", across)
	p.names(curves, y)
	for _, c := range curves {
		for i, at := range c.points {
			if i > 0 {
				p.line(x(c.points[i-1].x), y(c.points[i-1].y), x(at.x), y(at.y), c.colour, 2)
			}
			p.dot(x(at.x), y(at.y), 4, c.colour)
		}
	}
	p.y += lineHeight + axisHeight
}

// names writes the curves' names and last values behind their ends, apart from
// each other.
func (p *page) names(curves []curve, y func(float64) float64) {
	const apart = 15
	end := func(c curve) float64 { return y(c.points[len(c.points)-1].y) }
	sorted := slices.Clone(curves)
	slices.SortStableFunc(sorted, func(a, b curve) int { return cmp.Compare(end(b), end(a)) }) // the lowest first
	last := math.Inf(1)
	for _, c := range sorted {
		at := min(end(c), last-apart)
		last = at
		p.text(right+12, at+4.5, `fill="`+c.colour+`"`, "%s", c.name)
	}
}

// curves gives, for each tree of the results, y against x where y isn't 0, and
// whether there is anything to draw: several values of x.
func (p *page) curves(results []readbench.Result, x func(readbench.Result) int, y func(readbench.Result) float64) ([]curve, bool) {
	var curves []curve
	for _, tree := range p.trees {
		c := curve{name: tree, colour: p.colour(tree)}
		for _, r := range results {
			if r.Tree == tree && y(r) > 0 {
				c.points = append(c.points, point{float64(x(r)), y(r)})
			}
		}
		if len(c.points) > 0 {
			curves = append(curves, c)
		}
	}
	return curves, several(curves)
}

func several(curves []curve) bool {
	var xs []float64
	for _, c := range curves {
		for _, at := range c.points {
			xs = append(xs, at.x)
		}
	}
	return len(xs) > 0 && slices.Min(xs) < slices.Max(xs)
}

// only gives those of the results that are of a file, hot, and like the first
// in what else was varied.
func only(results []readbench.Result, file string, same func(readbench.Result) int) []readbench.Result {
	var chosen []readbench.Result
	for _, r := range results {
		if r.File == file && r.Mode == readbench.Hot && same(r) == same(results[0]) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

func readers(r readbench.Result) int    { return r.Readers }
func containers(r readbench.Result) int { return r.Containers }

func plain(v float64) string {
	if v == 0 {
		return "0"
	}
	return number(v)
}

// throughputs draws how many reads there are in a second as readers become more.
func (p *page) throughputs(results []readbench.Result) {
	for _, file := range distinct(results, func(r readbench.Result) string { return r.File }) {
		curves, some := p.curves(only(results, file, containers), readers, func(r readbench.Result) float64 { return r.ReadsPerSecond })
		if some {
			p.title("", "%s: reads per second against readers, hot", file)
			p.lines("readers", plain, curves)
		}
	}
}

// againstContainers draws what grows with the number of containers, or should not.
func (p *page) againstContainers(r readbench.Report) {
	memory := curve{name: "the server", colour: colour(1)}
	for _, u := range r.Server {
		if u.Mode == readbench.Idle {
			memory.points = append(memory.points, point{float64(u.Containers), float64(u.RSS) / (1 << 20)})
		}
	}
	if several([]curve{memory}) {
		each, _ := readbench.MemoryPerContainer(r.Server)
		p.title(fmt.Sprintf("%.1f KiB each", each/1024), "Memory of the idle server against registered containers, MiB")
		p.lines("containers", plain, []curve{memory})
	}
	for _, file := range distinct(r.Results, func(r readbench.Result) string { return r.File }) {
		curves, some := p.curves(only(r.Results, file, readers), containers, func(r readbench.Result) float64 { return float64(r.P50) })
		if some {
			p.title("", "%s: p50 of a read against registered containers, hot", file)
			p.lines("containers", func(v float64) string {
				if v == 0 {
					return "0"
				}
				return duration(v)
			}, curves)
		}
	}
}
