// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"math"

	"github.com/procfs-shim/procfs-shim/cgroupread/branch"
	"github.com/procfs-shim/procfs-shim/cgroupread/cgroupfile"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// CPU reads the quota of each level and the effective cpuset.
func (r Reader) CPU() (limits.CPUChain, error) {
	var chain limits.CPUChain
	if err := r.CPUInto(&chain); err != nil {
		return limits.CPUChain{}, err
	}
	return chain, nil
}

// CPUInto is CPU into a chain whose memory is used again. Beside an error it
// means nothing.
func (r Reader) CPUInto(chain *limits.CPUChain) error {
	*chain = limits.CPUChain{Levels: chain.Levels[:0]}
	if b := r.c.cpu; b != nil {
		err := r.read(b, func(p *branch.Pass) {
			for i := range b.Levels() {
				l := b.Level(i)
				chain.Levels = append(chain.Levels, limits.CPU{Path: l.Path, Quota: quota(p, l)})
			}
		})
		if err != nil {
			return err
		}
	}
	return r.effectiveCPUs(chain)
}

// IsRoot says whether the container is the root cgroup, which has no chain: the
// least that can be read, to know at least that the cgroup is there.
func (r Reader) IsRoot() (bool, error) {
	b := r.c.cpu
	if b == nil || b.Levels() == 0 {
		return true, r.c.checkOpen()
	}
	return false, r.read(b, func(p *branch.Pass) {
		if b.Unified() {
			p.Text(b.Level(0), "cpu.max")
		} else {
			p.Text(b.Level(0), "cpu.cfs_quota_us")
		}
	})
}

// CPUTime reads what the container ran for, its quotas and what they refused,
// and its effective cpuset: all that /proc/stat needs of a cgroup. dst's memory
// is used again; beside an error dst means nothing.
//
// Usage is that of level 0 with its descendants, v1's as in [limits.CPUTime]. It
// is 0 for the root cgroup, and where neither cpuacct nor a cgroup of the
// container's own in cgroup2 tells. Throttled is read of levels with a quota.
func (r Reader) CPUTime(dst *limits.CPUTime) error {
	*dst = limits.CPUTime{PerCPU: dst.PerCPU[:0], Chain: limits.CPUChain{Levels: dst.Chain.Levels[:0]}}
	usage := r.c.cpuacct
	oneFile := usage != nil && usage == r.c.cpu && usage.Unified() // cpu.stat has both
	if usage != nil && usage.Levels() > 0 && !oneFile {
		err := r.read(usage, func(p *branch.Pass) {
			if usage.Unified() {
				setUsage(dst, cpuStat(p, usage.Level(0)))
			} else {
				cpuacct(p, usage.Level(0), dst)
			}
		})
		if err != nil {
			return err
		}
	}
	if b := r.c.cpu; b != nil {
		err := r.read(b, func(p *branch.Pass) {
			for i := range b.Levels() {
				l := b.Level(i)
				level := limits.CPU{Path: l.Path, Quota: quota(p, l)}
				if i == 0 && oneFile || level.Quota.Limited() {
					stat := cpuStat(p, l)
					if i == 0 && oneFile {
						setUsage(dst, stat)
					}
					if level.Quota.Limited() {
						level.Throttled = stat.Throttled
					}
				}
				dst.Chain.Levels = append(dst.Chain.Levels, level)
			}
		})
		if err != nil {
			return err
		}
	}
	return r.effectiveCPUs(&dst.Chain)
}

// cpuStat is a level's cpu.stat, zeros if it isn't there.
func cpuStat(p *branch.Pass, l *branch.Level) cgroupfile.CPUStat {
	text := p.Text(l, "cpu.stat")
	if text == nil {
		return cgroupfile.CPUStat{}
	}
	stat, err := cgroupfile.ParseCPUStat(text)
	p.Fail(l, "cpu.stat", err)
	return stat
}

func setUsage(dst *limits.CPUTime, s cgroupfile.CPUStat) {
	dst.Total, dst.User, dst.System = s.Usage, s.User, s.System
}

// cpuacct reads v1's usage. The kernel sums up cpuacct.usage from what
// usage_percpu shows, so it is only asked where the other is missing.
func cpuacct(p *branch.Pass, l *branch.Level, dst *limits.CPUTime) {
	var err error
	const perCPU, usage, stat = "cpuacct.usage_percpu", "cpuacct.usage", "cpuacct.stat"
	if text := p.Text(l, perCPU); text != nil {
		dst.PerCPU, err = cgroupfile.ParseUsagePerCPU(dst.PerCPU, text)
		p.Fail(l, perCPU, err)
	}
	for _, ran := range dst.PerCPU {
		dst.Total += min(ran, math.MaxInt64-dst.Total)
	}
	if len(dst.PerCPU) == 0 {
		if text := p.Text(l, usage); text != nil {
			dst.Total, err = cgroupfile.ParseCPUAcctUsage(text)
			p.Fail(l, usage, err)
		}
	}
	if text := p.Text(l, stat); text != nil {
		dst.User, dst.System, err = cgroupfile.ParseCPUAcctStat(text)
		p.Fail(l, stat, err)
	}
}

// quota is a level's quota, none if the files aren't there.
func quota(p *branch.Pass, l *branch.Level) limits.Quota {
	if p.Unified() {
		text := p.Text(l, "cpu.max")
		if text == nil {
			return limits.Quota{}
		}
		q, err := cgroupfile.ParseCPUMax(text)
		p.Fail(l, "cpu.max", err)
		return q
	}
	const quotaFile, periodFile = "cpu.cfs_quota_us", "cpu.cfs_period_us"
	text := p.Text(l, quotaFile)
	if len(text) == 0 || text[0] == '-' {
		return limits.Quota{} // most levels have none, and needn't be asked more
	}
	var kept [24]byte // the next file is read into the same buffer
	quota := append(kept[:0], text...)
	period := p.Text(l, periodFile)
	if period == nil {
		return limits.Quota{}
	}
	q, err := cgroupfile.ParseCFS(quota, period)
	if errors.Is(err, cgroupfile.ErrPeriod) {
		p.Fail(l, periodFile, err)
	}
	p.Fail(l, quotaFile, err)
	return q
}
