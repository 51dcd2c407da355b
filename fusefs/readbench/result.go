// SPDX-License-Identifier: Apache-2.0

package readbench

// Result is what one row cost in one mode.
type Result struct {
	File    string `json:"file"`
	Tree    string `json:"tree"`
	Mode    Mode   `json:"mode"`
	Readers int    `json:"readers"`
	// Containers is how many were registered with the server.
	Containers int `json:"containers"`
	// Reads is how many reads were timed: right ones, first ones of a turn left
	// out.
	Reads uint64 `json:"reads"`
	// Times of open, read to the end and close together, in nanoseconds, at
	// most QuantileError off.
	P50 int64 `json:"p50_ns"`
	P90 int64 `json:"p90_ns"`
	P99 int64 `json:"p99_ns"`
	// ReadsPerSecond is what all readers together would do if they did nothing
	// else: readers ÷ mean time.
	ReadsPerSecond float64 `json:"reads_per_s"`
	// Ratio is P50 ÷ P50 of the kernel's row for the same file, measured in the
	// same run; 0 when there is none. RatioNull and RatioLXCFS are the same for
	// the null server's row and LXCFS's.
	Ratio      float64 `json:"ratio,omitempty"`
	RatioNull  float64 `json:"ratio_null,omitempty"`
	RatioLXCFS float64 `json:"ratio_lxcfs,omitempty"`
	// Errors is how many reads failed or had wrong content, FirstError what was
	// wrong with the first of them.
	Errors     uint64 `json:"errors"`
	FirstError string `json:"first_error,omitempty"`
	// Distribution is how many reads took how long.
	Distribution Distribution `json:"distribution,omitempty"`
}

// summarize makes the results of one mode of what its readers learnt.
func summarize(p Plan, mode Mode, readers []*reader) []Result {
	results := make([]Result, len(p.Rows))
	for i, row := range p.Rows {
		var times histogram
		res := Result{File: row.File, Tree: row.Tree, Mode: mode, Readers: p.Readers}
		for _, r := range readers {
			s := &r.stats[i]
			times.merge(&s.times)
			res.Errors += s.errors
			if s.first != nil && res.FirstError == "" {
				res.FirstError = s.first.Error()
			}
		}
		res.Reads = times.n
		res.P50 = int64(times.quantile(0.50))
		res.P90 = int64(times.quantile(0.90))
		res.P99 = int64(times.quantile(0.99))
		if times.sum > 0 {
			res.ReadsPerSecond = float64(p.Readers) * float64(times.n) / times.sum.Seconds()
		}
		res.Distribution = times.distribution()
		results[i] = res
	}
	return results
}

// addRatios relates the results of one mode to those of the trees that stand
// for something.
func addRatios(results []Result) {
	p50 := make(map[[2]string]int64)
	for _, r := range results {
		p50[[2]string{r.File, r.Tree}] = r.P50
	}
	for i := range results {
		r := &results[i]
		to := func(tree string) float64 {
			base := p50[[2]string{r.File, tree}]
			if base == 0 {
				return 0
			}
			return float64(r.P50) / float64(base)
		}
		r.Ratio, r.RatioNull, r.RatioLXCFS = to(KernelTree), to(NullTree), to(LXCFSTree)
	}
}
