// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Memory reads limits, usage and statistics of each level. The files of a level
// are read one after the other and may lag one another. [ErrGone], [ErrClosed],
// a [*ParseError], or what reading a file gave.
func (c *Cgroup) Memory() (limits.MemoryChain, error) {
	return c.AppendMemory(nil)
}

// AppendMemory appends the levels to dst, for callers that keep the slice.
func (c *Cgroup) AppendMemory(dst limits.MemoryChain) (limits.MemoryChain, error) {
	b := c.memory
	if b == nil {
		return dst, nil
	}
	start := len(dst)
	err := c.read(b, func(r *reading) {
		for i := range b.levels {
			dst = append(dst, limits.Memory{Path: b.levels[i].path})
			m := &dst[len(dst)-1]
			if b.unified {
				r.memoryV2(&b.levels[i], m)
			} else {
				r.memoryV1(&b.levels[i], m)
			}
		}
	})
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

func (r *reading) memoryV2(l *level, m *limits.Memory) {
	m.Max = r.limit(l, "memory.max")
	m.High = r.limit(l, "memory.high")
	m.SwapMax = r.limit(l, "memory.swap.max")
	m.Usage = r.usage(l, "memory.current")
	m.SwapUsage = r.usage(l, "memory.swap.current")
	if text := r.text(l, "memory.stat"); text != nil {
		r.fail(l, "memory.stat", parseMemoryStat(text, &m.Stat))
	}
}

func (r *reading) memoryV1(l *level, m *limits.Memory) {
	m.Max = r.limit(l, "memory.limit_in_bytes")
	// Missing where the kernel doesn't count swap (swapaccount=0).
	m.MemorySwapMax = r.limit(l, "memory.memsw.limit_in_bytes")
	if most, limited := m.Max.Value(); limited {
		m.SwapMax = m.MemorySwapMax.Less(most)
	} else {
		m.SwapMax = m.MemorySwapMax
	}
	m.Usage = r.usage(l, "memory.usage_in_bytes")
	if text := r.text(l, "memory.stat"); text != nil {
		swap, err := parseMemoryStatV1(text, &m.Stat)
		m.SwapUsage = swap
		r.fail(l, "memory.stat", err)
	}
}

// limit is the limit in a file, none if it isn't there.
func (r *reading) limit(l *level, name string) limits.Limit {
	text := r.text(l, name)
	if text == nil {
		return limits.None()
	}
	limit, err := parseLimit(text)
	r.fail(l, name, err)
	return limit
}

// usage is the number in a file, 0 if it isn't there.
func (r *reading) usage(l *level, name string) uint64 {
	text := r.text(l, name)
	if text == nil {
		return 0
	}
	n, err := parseUsage(text)
	r.fail(l, name, err)
	return n
}

// cutMemory ends v1's memory chain below the first ancestor with
// memory.use_hierarchy 0: such a cgroup doesn't limit its children. Kernels from
// 5.11 on know no such thing and show 1. A cgroup with children can't change it,
// so looking once is enough.
func (c *Cgroup) cutMemory() error {
	b := c.memory
	if b == nil || b.unified {
		return nil
	}
	return c.read(b, func(r *reading) {
		for i := 1; i < len(b.levels); i++ {
			text := r.text(&b.levels[i], "memory.use_hierarchy")
			if len(text) > 0 && text[0] == '0' {
				b.cut(i)
				return
			}
		}
	})
}
