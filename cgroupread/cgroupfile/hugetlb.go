// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// HugePages is a size of huge pages, and the files that tell of it.
type HugePages struct {
	Bytes uint64 // of one page
	// File names: "hugetlb.2MB.max", v1 "hugetlb.2MB.limit_in_bytes", and so on.
	Max, Usage, ReservedMax, ReservedUsage string
}

// HugePagesIn finds the sizes that a cgroup has files for among the names of its
// files, smallest first.
func HugePagesIn(names []string) []HugePages {
	var sizes []HugePages
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "hugetlb.")
		if !ok {
			continue
		}
		size, limit, _ := strings.Cut(rest, ".")
		usage := "current"
		switch limit {
		case "max":
		case "limit_in_bytes":
			usage = "usage_in_bytes"
		default:
			continue
		}
		if n, ok := parsePageSize(size); ok {
			prefix := "hugetlb." + size + "."
			sizes = append(sizes, HugePages{n, prefix + limit, prefix + usage, prefix + "rsvd." + limit, prefix + "rsvd." + usage})
		}
	}
	slices.SortFunc(sizes, func(a, b HugePages) int { return cmp.Compare(a.Bytes, b.Bytes) })
	return sizes
}

// parsePageSize reads "64KB", "2MB" or "1GB", as mem_fmt in mm/hugetlb_cgroup.c
// writes it.
func parsePageSize(text string) (bytes uint64, ok bool) {
	var shift int
	switch {
	case strings.HasSuffix(text, "KB"):
		shift = 10
	case strings.HasSuffix(text, "MB"):
		shift = 20
	case strings.HasSuffix(text, "GB"):
		shift = 30
	default:
		return 0, false
	}
	n, err := strconv.ParseUint(text[:len(text)-2], 10, 32)
	if err != nil || n == 0 {
		return 0, false
	}
	return n << shift, true
}
