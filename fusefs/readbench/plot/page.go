// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// The page's measures, in pixels.
const (
	pageWidth = 960
	margin    = 24
	headSize  = 136
	// Drawings begin at left and end at right.
	left  = 210
	right = 790
)

const (
	grey = "#666"
	red  = "#b00020"
)

// colour of a tree, by the order in which trees come: Okabe's and Ito's, which
// colour-blind people can tell apart, the kernel's grey first.
func colour(tree int) string {
	colours := [...]string{"#555555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}
	return colours[tree%len(colours)]
}

// Write draws a report.
func Write(w io.Writer, r readbench.Report) error {
	p := &page{y: headSize, trees: distinct(r.Results, func(r readbench.Result) string { return r.Tree })}
	slices.SortStableFunc(p.trees, func(a, b string) int { return kernelFirst(a) - kernelFirst(b) })
	p.latencies(r.Results)
	p.throughputs(r.Results)
	p.againstContainers(r)
	height := p.y + margin
	drawings := p.take()
	p.head(r)
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13" fill="#222">
<rect width="100%%" height="100%%" fill="#fff"/>
%s%s</svg>
`, pageWidth, height, pageWidth, height, p.take(), drawings)
	return err
}

// distinct gives the values of a field in the order in which they come.
func distinct[T comparable](results []readbench.Result, field func(readbench.Result) T) []T {
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
	if tree == readbench.KernelTree {
		return 0
	}
	return 1
}

// page is a drawing that grows downwards.
type page struct {
	b     strings.Builder
	y     int      // where the next thing goes
	trees []string // in the order of colours
}

// take gives what was drawn since it was last called.
func (p *page) take() string {
	drawn := p.b.String()
	p.b.Reset()
	return drawn
}

func (p *page) colour(tree string) string { return colour(slices.Index(p.trees, tree)) }

func (p *page) text(x, y float64, attributes, format string, args ...any) {
	fmt.Fprintf(&p.b, "<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y, attributes, html.EscapeString(fmt.Sprintf(format, args...)))
}

func (p *page) line(x1, y1, x2, y2 float64, stroke string, width float64) {
	fmt.Fprintf(&p.b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%g\"/>\n", x1, y1, x2, y2, stroke, width)
}

func (p *page) dot(x, y, radius float64, fill string) {
	fmt.Fprintf(&p.b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"%s\"/>\n", x, y, radius, fill)
}

// title heads a drawing, and says on the right what its numbers are.
func (p *page) title(numbers, format string, args ...any) {
	p.text(margin, float64(p.y+22), `font-size="15" font-weight="bold"`, format, args...)
	p.text(pageWidth-margin, float64(p.y+22), `fill="`+grey+`" text-anchor="end"`, "%s", numbers)
	p.y += 40
}

// head writes what the page is about, what the signs mean, and the trees'
// colours.
func (p *page) head(r readbench.Report) {
	p.text(margin, 32, `font-size="19" font-weight="bold"`, "What one open + read to the end + close takes")
	where := fmt.Sprintf("Linux %s, %d CPUs", r.Host.Kernel, r.Host.CPUs)
	if r.Host.CPU != "" {
		where += " (" + r.Host.CPU + ")"
	}
	if !r.Host.Date.IsZero() {
		where += r.Host.Date.Format(", 2006-01-02")
	}
	p.text(margin, 54, `fill="`+grey+`"`, "%s", where)
	p.sign(margin+4, 77, 60, 104, colour(0))
	p.text(margin+116, 82, `fill="`+grey+`"`, "dot: half of the reads were faster (p50); thick line to p90, thin line to p99; less is better")
	p.text(margin+116, 99, `fill="`+grey+`"`, "hill: how many reads took how long, from the fastest 0.5 %% to p99")
	x := float64(margin)
	for i, tree := range p.trees {
		p.dot(x+6, 119, 5, colour(i))
		p.text(x+17, 124, "", "%s", tree)
		x += 40 + 8*float64(len(tree))
	}
}
