// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// pageSize is a size of huge pages with the name that files have for it.
type pageSize struct {
	bytes uint64
	name  string // "2MB"
}

// Hugetlb reads limits and usage of huge pages of each level. The chain is empty
// where the controller isn't on for any of them. Errors as for [Cgroup.Memory].
func (c *Cgroup) Hugetlb() (limits.HugetlbChain, error) {
	b := c.hugetlb
	if b == nil || len(b.levels) == 0 {
		return nil, nil
	}
	var chain limits.HugetlbChain
	err := c.read(b, func(r *reading) {
		// Levels without the controller are below those with it, so the one
		// below the root tells for all. The container's is asked first because
		// only its files tell that it is gone.
		top := &b.levels[len(b.levels)-1]
		if b.unified && !r.hasController(&b.levels[0], "hugetlb") && !r.hasController(top, "hugetlb") {
			return
		}
		sizes := c.hugePageSizes(r, top)
		if len(sizes) == 0 {
			return
		}
		for i := range b.levels {
			chain = append(chain, r.hugetlb(&b.levels[i], sizes))
		}
	})
	if err != nil {
		return nil, err
	}
	return chain, nil
}

// hasController reports whether a v2 level's cgroup.controllers has the name.
func (r *reading) hasController(l *level, name string) bool {
	text := r.text(l, "cgroup.controllers")
	return slices.Contains(strings.Fields(string(text)), name)
}

func (r *reading) hugetlb(l *level, sizes []pageSize) limits.Hugetlb {
	level := limits.Hugetlb{Path: l.path}
	limitFile, usageFile := ".limit_in_bytes", ".usage_in_bytes"
	if r.b.unified {
		limitFile, usageFile = ".max", ".current"
	}
	for _, s := range sizes {
		prefix := "hugetlb." + s.name
		level.Sizes = append(level.Sizes, limits.HugePages{
			PageSize:      s.bytes,
			Max:           r.limit(l, prefix+limitFile),
			Usage:         r.usage(l, prefix+usageFile),
			ReservedMax:   r.limit(l, prefix+".rsvd"+limitFile),
			ReservedUsage: r.usage(l, prefix+".rsvd"+usageFile),
		})
	}
	return level
}

// hugePageSizes lists the sizes that a level has files for. They are fixed at
// boot: once found they are kept.
func (c *Cgroup) hugePageSizes(r *reading, l *level) []pageSize {
	if known := c.pageSizes.Load(); known != nil {
		return *known
	}
	name := l.up
	if name == "" {
		name = "."
	}
	fd, err := openat(r.b.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		r.missed = true
		return nil
	}
	if err != nil {
		r.fail(l, "", fmt.Errorf("list cgroup files: %s: %w", r.b.file(l, ""), err))
		return nil
	}
	dir := os.NewFile(uintptr(fd), r.b.file(l, ""))
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		r.fail(l, "", fmt.Errorf("list cgroup files: %w", err))
		return nil
	}
	sizes := pageSizesIn(names)
	if len(sizes) > 0 {
		c.pageSizes.Store(&sizes)
	}
	return sizes
}

// pageSizesIn finds the sizes in names like "hugetlb.2MB.max" and
// "hugetlb.1GB.limit_in_bytes", smallest first.
func pageSizesIn(names []string) []pageSize {
	var sizes []pageSize
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "hugetlb.")
		if !ok {
			continue
		}
		size, kind, _ := strings.Cut(rest, ".")
		if kind != "max" && kind != "limit_in_bytes" {
			continue
		}
		if n, ok := parsePageSize(size); ok {
			sizes = append(sizes, pageSize{n, size})
		}
	}
	slices.SortFunc(sizes, func(a, b pageSize) int {
		if a.bytes < b.bytes {
			return -1
		}
		return 1
	})
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
