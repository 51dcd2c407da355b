// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"math/bits"
	"path"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A bound is what one level, or the host, allows: a ratio, of which of is 1 but for
// quotas, and the field that says so.
type bound struct {
	amount, of uint64
	field      string
}

// less compares ratios.
func (b bound) less(o bound) bool {
	ah, al := bits.Mul64(b.amount, o.of)
	bh, bl := bits.Mul64(o.amount, b.of)
	return ah < bh || ah == bh && al < bl
}

// minus is the bound without what is used, plus is with more.
func (b bound) minus(n uint64) bound {
	if n > b.amount {
		n = b.amount
	}
	b.amount -= n
	return b
}

func (b bound) plus(n uint64) bound {
	b.amount += n
	return b
}

// A binder says what a level allows a field, and which number of the host bounds it
// besides.
type binder struct {
	level func(l level, p view.Policy) (bound, bool)
	host  string // "proc/meminfo MemTotal", "" for none
}

// binders are the fields that have a limit at each level.
func binders() map[owner]binder {
	const meminfo = "proc/meminfo"
	quota := binder{level: func(l level, _ view.Policy) (bound, bool) {
		return l.quota()
	}}
	return map[owner]binder{
		{meminfo, "MemTotal"}: {host: "MemTotal", level: func(l level, p view.Policy) (bound, bool) {
			return l.least(p.MemoryHigh)
		}},
		{meminfo, "MemFree"}: {host: "MemAvailable", level: func(l level, p view.Policy) (bound, bool) {
			b, ok := l.least(p.MemoryHigh)
			return b.minus(l.usage()), ok
		}},
		{meminfo, "MemAvailable"}: {host: "MemAvailable", level: func(l level, _ view.Policy) (bound, bool) {
			b, ok := l.least(true)
			return b.plus(l.stat("inactive_file", "active_file", "slab_reclaimable")).minus(l.usage()), ok
		}},
		{meminfo, "SwapTotal"}: {host: "SwapTotal", level: func(l level, _ view.Policy) (bound, bool) {
			return l.number("memory.swap.max", "memory.memsw.limit_in_bytes")
		}},
		{meminfo, "SwapFree"}: {host: "SwapFree", level: func(l level, _ view.Policy) (bound, bool) {
			b, ok := l.number("memory.swap.max", "memory.memsw.limit_in_bytes")
			used, _ := l.number("memory.swap.current")
			return b.minus(max(used.amount, l.stat("swap"))), ok
		}},
		{"sys/devices/system/cpu/online", "online"}: quota,
		{"proc/stat", "steal"}:                      quota,
	}
}

// bind marks the sources whose level binds the field that they belong to.
func (x *explainer) bind(sources []Source) {
	done := map[owner]bool{}
	for _, s := range sources {
		if s.owner.file == "" || done[s.owner] {
			continue
		}
		done[s.owner] = true
		key := s.owner
		if key.file == "proc/stat" && strings.HasSuffix(key.field, " steal") {
			key.field = "steal"
		}
		b, ok := binders()[key]
		if !ok {
			continue
		}
		dir, field, host := x.binding(b)
		cpuset := key.field == "online" && !x.quotaBinds()
		for i := range sources {
			o := &sources[i]
			switch {
			case o.owner != s.owner:
			case o.From == formats.OfHost.String():
				o.Binds = host && o.Field == b.host
			case o.From == formats.OfNearest.String():
				o.Binds = cpuset
			case o.From == formats.OfChain.String():
				o.Binds = !cpuset && dir == path.Dir(o.Path) && o.Field == field
			}
		}
	}
}

// binding is the directory of the level that binds and the field of its limit, or
// whether the host does.
func (x *explainer) binding(b binder) (dir, field string, host bool) {
	var least bound
	for _, l := range x.levels() {
		if now, ok := b.level(l, x.situation.Policy); ok && (dir == "" || now.less(least)) {
			dir, least = l.dir, now
		}
	}
	if b.host == "" {
		return dir, least.field, false
	}
	for _, r := range x.reads {
		for _, f := range r.fields {
			if !r.host || r.name != "proc/meminfo" || f.Name != b.host {
				continue
			}
			if kB, ok := number(f.Value); ok && (dir == "" || kB*1024 <= least.amount) {
				return "", "", true
			}
		}
	}
	return dir, least.field, false
}

// A level is what the files of one cgroup's directory said.
type level struct {
	dir    string
	values map[string]string // "memory.stat file"
}

// levels are the directories of cgroups that were read, those of each hierarchy
// from the container's own upwards.
func (x *explainer) levels() (all []level) {
	for _, r := range x.reads {
		if r.host {
			continue
		}
		i := 0
		for i < len(all) && all[i].dir != r.dir {
			i++
		}
		if i == len(all) {
			all = append(all, level{r.dir, map[string]string{}})
		}
		for _, f := range r.fields {
			all[i].values[r.name+" "+f.Name] = f.Value
		}
	}
	return all
}

// number is the number in the first of these files that is there; false for no
// limit.
func (l level) number(names ...string) (bound, bool) {
	for _, name := range names {
		if value, ok := l.values[name+" "+name]; ok {
			n, ok := number(value)
			return bound{n, 1, name}, ok
		}
	}
	return bound{}, false
}

// least is the smallest limit of memory.
func (l level) least(high bool) (bound, bool) {
	b, ok := l.number("memory.max", "memory.limit_in_bytes")
	if soft, limited := l.number("memory.high"); high && limited && (!ok || soft.less(b)) {
		return soft, true
	}
	return b, ok
}

// stat is a key of memory.stat, of v1's its total.
func (l level) stat(keys ...string) (sum uint64) {
	for _, key := range keys {
		value, ok := l.values["memory.stat total_"+key]
		if !ok {
			value = l.values["memory.stat "+key]
		}
		n, _ := number(value)
		sum += n
	}
	return sum
}

// usage is the term of the same name.
func (l level) usage() uint64 {
	used, _ := l.number("memory.current", "memory.usage_in_bytes")
	lists := l.stat("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
	kinds := l.stat("anon", "file", "slab_reclaimable", "slab_unreclaimable", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "vmalloc", "zswap") +
		l.stat("rss", "cache")
	return max(used.amount, lists, kinds)
}

// quota is quota ÷ period.
func (l level) quota() (bound, bool) {
	if q, ok := l.number("cpu.cfs_quota_us"); ok {
		p, ok := l.number("cpu.cfs_period_us")
		return bound{q.amount, max(p.amount, 1), q.field}, ok
	}
	quota, okQuota := number(l.values["cpu.max quota"])
	period, okPeriod := number(l.values["cpu.max period"])
	return bound{quota, max(period, 1), "quota"}, okQuota && okPeriod
}

// number is the number that a value begins with; false for "max" and v1's -1.
func number(value string) (uint64, bool) {
	digits, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}
