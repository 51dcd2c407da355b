// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Hugetlb reads limits and usage of huge pages of each level. The chain is empty
// where the controller isn't on for any of them.
func (r Reader) Hugetlb() (limits.HugetlbChain, error) {
	b := r.c.hugetlb
	if b == nil || b.Levels() == 0 {
		return nil, nil
	}
	var chain limits.HugetlbChain
	err := r.read(b, func(p *branch.Pass) {
		// Levels without the controller are below those with it, so the one
		// below the root tells for all. The container's is asked first because
		// only its files tell that it is gone.
		top := b.Level(b.Levels() - 1)
		if b.Unified() && !hasController(p, b.Level(0), "hugetlb") && !hasController(p, top, "hugetlb") {
			return
		}
		sizes := r.c.hugePageSizes(p, top)
		if len(sizes) == 0 {
			return
		}
		for i := range b.Levels() {
			chain = append(chain, hugetlb(p, b.Level(i), sizes))
		}
	})
	if err != nil {
		return nil, err
	}
	return chain, nil
}

// hasController reports whether a v2 level's cgroup.controllers has the name.
func hasController(p *branch.Pass, l *branch.Level, name string) bool {
	text := p.Text(l, "cgroup.controllers")
	return slices.Contains(strings.Fields(string(text)), name)
}

func hugetlb(p *branch.Pass, l *branch.Level, sizes []cgroupfile.HugePages) limits.Hugetlb {
	level := limits.Hugetlb{Path: l.Path}
	for _, s := range sizes {
		level.Sizes = append(level.Sizes, limits.HugePages{
			PageSize:      s.Bytes,
			Max:           limit(p, l, s.Max),
			Usage:         usage(p, l, s.Usage),
			ReservedMax:   limit(p, l, s.ReservedMax),
			ReservedUsage: usage(p, l, s.ReservedUsage),
		})
	}
	return level
}

// hugePageSizes lists the sizes that a level has files for. They are fixed at
// boot: once found they are kept.
func (c *Cgroup) hugePageSizes(p *branch.Pass, l *branch.Level) []cgroupfile.HugePages {
	if known := c.hugePages.Load(); known != nil {
		return *known
	}
	sizes := cgroupfile.HugePagesIn(p.Names(l))
	if len(sizes) > 0 {
		c.hugePages.Store(&sizes)
	}
	return sizes
}
