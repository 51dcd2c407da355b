// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Hugetlb reads limits and usage of huge pages of each level. The chain is empty
// where the controller isn't on for any of them.
func (r Reader) Hugetlb() (limits.HugetlbChain, error) {
	b := r.c.hugetlb
	if b == nil || len(b.levels) == 0 {
		return nil, nil
	}
	var chain limits.HugetlbChain
	err := r.read(b, func(p *reading) {
		// Levels without the controller are below those with it, so the one
		// below the root tells for all. The container's is asked first because
		// only its files tell that it is gone.
		top := &b.levels[len(b.levels)-1]
		if b.unified && !p.hasController(&b.levels[0], "hugetlb") && !p.hasController(top, "hugetlb") {
			return
		}
		sizes := r.c.hugePageSizes(p, top)
		if len(sizes) == 0 {
			return
		}
		for i := range b.levels {
			chain = append(chain, p.hugetlb(&b.levels[i], sizes))
		}
	})
	if err != nil {
		return nil, err
	}
	return chain, nil
}

// hasController reports whether a v2 level's cgroup.controllers has the name.
func (p *reading) hasController(l *level, name string) bool {
	text := p.text(l, "cgroup.controllers")
	return slices.Contains(strings.Fields(string(text)), name)
}

func (p *reading) hugetlb(l *level, sizes []cgroupfile.HugePages) limits.Hugetlb {
	level := limits.Hugetlb{Path: l.path}
	for _, s := range sizes {
		level.Sizes = append(level.Sizes, limits.HugePages{
			PageSize:      s.Bytes,
			Max:           p.limit(l, s.Max),
			Usage:         p.usage(l, s.Usage),
			ReservedMax:   p.limit(l, s.ReservedMax),
			ReservedUsage: p.usage(l, s.ReservedUsage),
		})
	}
	return level
}

// hugePageSizes lists the sizes that a level has files for. They are fixed at
// boot: once found they are kept.
func (c *Cgroup) hugePageSizes(p *reading, l *level) []cgroupfile.HugePages {
	if known := c.hugePages.Load(); known != nil {
		return *known
	}
	fd, err := p.openat(l.up, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		p.missed = true
		return nil
	}
	if err != nil {
		p.fail(l, "", fmt.Errorf("list cgroup files: %s: %w", p.b.file(l, ""), err))
		return nil
	}
	dir := os.NewFile(uintptr(fd), p.b.file(l, ""))
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		p.fail(l, "", fmt.Errorf("list cgroup files: %w", err))
		return nil
	}
	sizes := cgroupfile.HugePagesIn(names)
	if len(sizes) > 0 {
		c.hugePages.Store(&sizes)
	}
	return sizes
}
