// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// ParseMemoryStat reads v2's memory.stat. Keys it doesn't know pass.
func ParseMemoryStat(text []byte, stat *limits.MemoryStat) error {
	return eachKey(text, func(key []byte, n uint64) {
		if field := statField(key, stat); field != nil {
			*field = n
		}
	})
}

// statField is where the value of a key of v2's memory.stat belongs, nil for a
// key that no view needs. Whole keys are compared: "file" is not "file_mapped".
func statField(key []byte, stat *limits.MemoryStat) *uint64 {
	switch string(key) {
	case "anon":
		return &stat.Anon
	case "file":
		return &stat.File
	case "shmem":
		return &stat.Shmem
	case "file_mapped":
		return &stat.FileMapped
	case "file_dirty":
		return &stat.FileDirty
	case "file_writeback":
		return &stat.FileWriteback
	case "anon_thp":
		return &stat.AnonTHP
	case "file_thp":
		return &stat.FileTHP
	case "shmem_thp":
		return &stat.ShmemTHP
	case "inactive_anon":
		return &stat.InactiveAnon
	case "active_anon":
		return &stat.ActiveAnon
	case "inactive_file":
		return &stat.InactiveFile
	case "active_file":
		return &stat.ActiveFile
	case "unevictable":
		return &stat.Unevictable
	case "slab":
		return &stat.Slab
	case "slab_reclaimable":
		return &stat.SlabReclaimable
	case "slab_unreclaimable":
		return &stat.SlabUnreclaimable
	case "kernel_stack":
		return &stat.KernelStack
	case "pagetables":
		return &stat.PageTables
	case "sec_pagetables":
		return &stat.SecPageTables
	case "percpu":
		return &stat.Percpu
	case "vmalloc":
		return &stat.Vmalloc
	case "zswap":
		return &stat.Zswap
	case "zswapped":
		return &stat.Zswapped
	case "swapcached":
		return &stat.SwapCached
	}
	return nil
}

// ParseMemoryStatV1 reads v1's memory.stat: the total_* keys, which count
// descendants as v2's do. swap is total_swap, the cgroup's swap in use.
func ParseMemoryStatV1(text []byte, stat *limits.MemoryStat) (swap uint64, err error) {
	err = eachKey(text, func(key []byte, n uint64) {
		switch string(key) {
		case "total_cache":
			stat.File = n
		case "total_rss":
			stat.Anon = n
		case "total_rss_huge":
			stat.AnonTHP = n
		case "total_shmem":
			stat.Shmem = n
		case "total_mapped_file":
			stat.FileMapped = n
		case "total_dirty":
			stat.FileDirty = n
		case "total_writeback":
			stat.FileWriteback = n
		case "total_swap":
			swap = n
		case "total_swapcached":
			stat.SwapCached = n
		case "total_inactive_anon":
			stat.InactiveAnon = n
		case "total_active_anon":
			stat.ActiveAnon = n
		case "total_inactive_file":
			stat.InactiveFile = n
		case "total_active_file":
			stat.ActiveFile = n
		case "total_unevictable":
			stat.Unevictable = n
		}
	})
	return swap, err
}

// ParseOOMKill reads v1's memory.oom_control: how many processes were killed for
// want of memory. ok is false on kernels that don't count them (before 4.13).
func ParseOOMKill(text []byte) (n uint64, ok bool, err error) {
	err = eachKey(text, func(key []byte, value uint64) {
		if string(key) == "oom_kill" {
			n, ok = value, true
		}
	})
	return n, ok, err
}

// ParseCounters appends a counter for each line "key number" whose key begins
// with prefix, which the counter's name doesn't. Names that are where the
// counter goes, in the spare memory of dst, are used again if they are the same.
func ParseCounters(dst []limits.Counter, text []byte, prefix string) ([]limits.Counter, error) {
	err := eachKey(text, func(key []byte, n uint64) {
		if len(key) <= len(prefix) && prefix != "" || string(key[:len(prefix)]) != prefix {
			return
		}
		dst = appendCounter(dst, key[len(prefix):], n)
	})
	return dst, err
}

// appendCounter appends one counter, with the name that is there already if it
// is the same.
func appendCounter(dst []limits.Counter, name []byte, n uint64) []limits.Counter {
	at := len(dst)
	if at < cap(dst) {
		dst = dst[:at+1]
	} else {
		dst = append(dst, limits.Counter{})
	}
	if dst[at].Name != string(name) {
		dst[at].Name = string(name)
	}
	dst[at].Value = n
	return dst
}
