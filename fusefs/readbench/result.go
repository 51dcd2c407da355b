// SPDX-License-Identifier: Apache-2.0

package readbench

// Result is what one row cost in one mode.
type Result struct {
	File    string `json:"file"`
	Tree    string `json:"tree"`
	Mode    Mode   `json:"mode"`
	Readers int    `json:"readers"`
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
	// Ratio is P50 ÷ P50 of the kernel's row for the same file and mode; 0
	// when there is none.
	Ratio float64 `json:"ratio,omitempty"`
	// Errors is how many reads failed or had wrong content, FirstError what was
	// wrong with the first of them.
	Errors     uint64 `json:"errors"`
	FirstError string `json:"first_error,omitempty"`
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
		results[i] = res
	}
	return results
}

// addRatios relates each result to the kernel's for the same file and mode.
func addRatios(results []Result) {
	type key struct {
		file string
		mode Mode
	}
	kernel := make(map[key]int64)
	for _, r := range results {
		if r.Tree == KernelTree {
			kernel[key{r.File, r.Mode}] = r.P50
		}
	}
	for i := range results {
		r := &results[i]
		if base := kernel[key{r.File, r.Mode}]; base > 0 {
			r.Ratio = float64(r.P50) / float64(base)
		}
	}
}
