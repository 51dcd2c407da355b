// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Mode is how often files are read.
type Mode string

// The modes.
const (
	Hot  Mode = "hot"  // one read after the other
	Cold Mode = "cold" // one read of each row every ColdPeriod
)

// ColdPeriod is the time between two reads of a row in cold mode.
const ColdPeriod = 20 * time.Millisecond

// Bounds of a plan: they keep its histograms within 150 MB.
const (
	maxRows    = 256
	MaxReaders = 64
)

// Trees that ratios refer to.
const (
	KernelTree = "kernel" // the kernel's own files
	NullTree   = "null"   // FUSE with nothing behind it: constant files of the same length
	LXCFSTree  = "lxcfs"
)

// ParseCounts reads a comma-separated list of numbers from 1 to most, each
// larger than the one before.
func ParseCounts(list string, most int) ([]int, error) {
	var counts []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q: must be a number from 1 to %d, or a list of them: 1,2,4", text, most)
		}
		if len(counts) > 0 && n <= counts[len(counts)-1] {
			return nil, fmt.Errorf("%q: must be larger than the number before it", text)
		}
		counts = append(counts, n)
	}
	return counts, nil
}

// ParseModes reads a comma-separated list of modes, each at most once.
func ParseModes(list string) ([]Mode, error) {
	var modes []Mode
	seen := make(map[Mode]bool)
	for name := range strings.SplitSeq(list, ",") {
		m := Mode(name)
		if m != Hot && m != Cold {
			return nil, fmt.Errorf("mode %q: must be %s or %s", name, Hot, Cold)
		}
		if seen[m] {
			return nil, fmt.Errorf("mode %q: named twice", name)
		}
		seen[m] = true
		modes = append(modes, m)
	}
	return modes, nil
}

// Row is one file of one tree.
type Row struct {
	File string // its name in results, the same in every tree
	Tree string // the tree's name in results
	Path string // where it is, absolute
	// Check judges the content of each read; nil accepts everything but an
	// empty file. The content is only valid during the call. Several readers
	// may call it at once.
	Check func(content []byte) error
}

// Plan says what to measure.
type Plan struct {
	Rows     []Row
	Modes    []Mode        // in the order in which they are run
	Readers  int           // threads that read at the same time
	Duration time.Duration // of one mode, all its rows together
	// Progress, if not nil, is told now and then how far the measurement is.
	// It delays the next read, not a time that is being taken.
	Progress func(Progress)
}

// Progress is how far a measurement is.
type Progress struct {
	Mode        Mode
	Done, Total time.Duration // of this mode
}

func (p Plan) check() error {
	switch {
	case len(p.Rows) == 0 || len(p.Rows) > maxRows:
		return fmt.Errorf("plan: %d files: must be 1 to %d", len(p.Rows), maxRows)
	case p.Readers < 1 || p.Readers > MaxReaders:
		return fmt.Errorf("plan: %d readers: must be 1 to %d", p.Readers, MaxReaders)
	case p.Duration <= 0 || p.Duration > 24*time.Hour:
		return fmt.Errorf("plan: duration %v: must be above 0 and at most 24h", p.Duration)
	case len(p.Modes) == 0:
		return fmt.Errorf("plan: no mode")
	}
	seen := make(map[[2]string]bool)
	for _, r := range p.Rows {
		if !filepath.IsAbs(r.Path) || strings.Contains(r.Path, "\x00") {
			return fmt.Errorf("plan: path %q of %s in %s: must be absolute", r.Path, r.File, r.Tree)
		}
		key := [2]string{r.File, r.Tree}
		if seen[key] {
			return fmt.Errorf("plan: %s of tree %s is there twice", r.File, r.Tree)
		}
		seen[key] = true
	}
	for _, m := range p.Modes {
		if m != Hot && m != Cold {
			return fmt.Errorf("plan: mode %q: must be %s or %s", m, Hot, Cold)
		}
	}
	return nil
}
