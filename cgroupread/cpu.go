// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// CPU reads the quota of each level and the effective cpuset. Errors as for
// [Cgroup.Memory].
func (c *Cgroup) CPU() (limits.CPUChain, error) {
	var chain limits.CPUChain
	if b := c.cpu; b != nil {
		err := c.read(b, func(r *reading) {
			chain.Levels = make([]limits.CPU, 0, len(b.levels))
			for i := range b.levels {
				l := &b.levels[i]
				chain.Levels = append(chain.Levels, limits.CPU{Path: l.path, Quota: r.quota(l)})
			}
		})
		if err != nil {
			return limits.CPUChain{}, err
		}
	}
	if b := c.cpuset; b != nil {
		err := c.read(b, func(r *reading) {
			chain.Effective, chain.HaveEffective = r.effectiveCPUs()
		})
		if err != nil {
			return limits.CPUChain{}, err
		}
	}
	return chain, nil
}

// quota is a level's quota, none if the files aren't there.
func (r *reading) quota(l *level) limits.Quota {
	if r.b.unified {
		text := r.text(l, "cpu.max")
		if text == nil {
			return limits.Quota{}
		}
		q, err := parseCPUMax(text)
		r.fail(l, "cpu.max", err)
		return q
	}
	const quotaFile, periodFile = "cpu.cfs_quota_us", "cpu.cfs_period_us"
	text := r.text(l, quotaFile)
	if len(text) == 0 || text[0] == '-' {
		return limits.Quota{} // most levels have none, and needn't be asked more
	}
	var kept [24]byte // the next file is read into the same buffer
	quota := append(kept[:0], text...)
	period := r.text(l, periodFile)
	if period == nil {
		return limits.Quota{}
	}
	q, err := parseCFS(quota, period)
	r.fail(l, quotaFile, err)
	return q
}

// effectiveCPUs is the effective cpuset of the nearest level that has one, the
// root included. An empty one is passed over: v1 shows that where nobody has
// filled cpuset.cpus yet, and no task can be there.
func (r *reading) effectiveCPUs() (cpulist.Set, bool) {
	for i := range r.b.levels {
		if set, ok := r.cpus(&r.b.levels[i]); ok {
			return set, true
		}
	}
	if r.b.root != nil {
		return r.cpus(r.b.root)
	}
	return cpulist.Set{}, false
}

func (r *reading) cpus(l *level) (cpulist.Set, bool) {
	name := "cpuset.cpus.effective"
	if !r.b.unified {
		name = "cpuset.effective_cpus"
	}
	text := bytes.TrimSpace(r.text(l, name))
	if len(text) == 0 {
		return cpulist.Set{}, false
	}
	set, err := cpulist.Parse(string(text))
	if err != nil {
		r.fail(l, name, lineError(1, text, err))
		return cpulist.Set{}, false
	}
	return set, true
}
