// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Memory reads limits, usage and statistics of each level.
func (r Reader) Memory() (limits.MemoryChain, error) { return r.AppendMemory(nil) }

// AppendMemory appends the levels to dst.
func (r Reader) AppendMemory(dst limits.MemoryChain) (limits.MemoryChain, error) {
	b := r.c.memory
	if b == nil {
		return dst, nil
	}
	start := len(dst)
	err := r.read(b, func(p *reading) {
		for i := range b.levels {
			dst = append(dst, limits.Memory{Path: b.levels[i].path})
			m := &dst[len(dst)-1]
			if b.unified {
				p.memoryV2(&b.levels[i], m)
			} else {
				p.memoryV1(&b.levels[i], m)
			}
		}
	})
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

func (p *reading) memoryV2(l *level, m *limits.Memory) {
	m.Max = p.limit(l, "memory.max")
	m.High = p.limit(l, "memory.high")
	m.SwapMax = p.limit(l, "memory.swap.max")
	m.Usage = p.usage(l, "memory.current")
	m.SwapUsage = p.usage(l, "memory.swap.current")
	if text := p.text(l, "memory.stat"); text != nil {
		p.fail(l, "memory.stat", cgroupfile.ParseMemoryStat(text, &m.Stat))
	}
}

func (p *reading) memoryV1(l *level, m *limits.Memory) {
	m.Max = p.limit(l, "memory.limit_in_bytes")
	// Missing where the kernel doesn't count swap (swapaccount=0).
	m.MemorySwapMax = p.limit(l, "memory.memsw.limit_in_bytes")
	if most, limited := m.Max.Value(); limited {
		m.SwapMax = m.MemorySwapMax.Less(most)
	} else {
		m.SwapMax = m.MemorySwapMax
	}
	m.Usage = p.usage(l, "memory.usage_in_bytes")
	if text := p.text(l, "memory.stat"); text != nil {
		swap, err := cgroupfile.ParseMemoryStatV1(text, &m.Stat)
		m.SwapUsage = swap
		p.fail(l, "memory.stat", err)
	}
}

// limit is the limit in a file, none if it isn't there.
func (p *reading) limit(l *level, name string) limits.Limit {
	text := p.text(l, name)
	if text == nil {
		return limits.None()
	}
	limit, err := cgroupfile.ParseLimit(text)
	p.fail(l, name, err)
	return limit
}

// usage is the number in a file, 0 if it isn't there.
func (p *reading) usage(l *level, name string) uint64 {
	text := p.text(l, name)
	if text == nil {
		return 0
	}
	n, err := cgroupfile.ParseUsage(text)
	p.fail(l, name, err)
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
	return c.Reader(nil).read(b, func(p *reading) {
		for i := 1; i < len(b.levels); i++ {
			text := p.text(&b.levels[i], "memory.use_hierarchy")
			if len(text) > 0 && text[0] == '0' {
				b.cut(i)
				return
			}
		}
	})
}
