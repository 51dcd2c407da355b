// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"bytes"
	"errors"
	"math"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// Every parser here is a function over the file's bytes and says in its error
// only the line; the caller knows the file's path.

// unlimited is the smallest number that stands for "no limit". v1 has no word
// for it and shows PAGE_COUNTER_MAX pages, which is 2^63 − 1 rounded down to a
// page (include/linux/page_counter.h); people write 2^63 − 1 or more themselves.
// Pages are at most 256 KiB large, so everything within 1 MiB of 2^63 is it.
const unlimited = 1<<63 - 1<<20

// parseLimit reads a file that holds one limit: v2 "max" or a number, v1 a
// number.
func parseLimit(text []byte) (limits.Limit, error) {
	text = bytes.TrimSpace(text)
	if string(text) == "max" {
		return limits.None(), nil
	}
	n, err := parseUint(text)
	if errors.Is(err, errTooLarge) {
		return limits.None(), nil
	}
	if err != nil {
		return limits.None(), lineError(1, text, err)
	}
	if n >= unlimited {
		return limits.None(), nil
	}
	return limits.To(n), nil
}

// parseUsage reads a file that holds one number.
func parseUsage(text []byte) (uint64, error) {
	text = bytes.TrimSpace(text)
	n, err := parseUint(text)
	if err != nil {
		return 0, lineError(1, text, err)
	}
	return n, nil
}

// parseCPUMax reads v2's cpu.max: "max 100000" or "50000 100000", both in µs.
func parseCPUMax(text []byte) (limits.Quota, error) {
	text = bytes.TrimSpace(text)
	quota, period, ok := bytes.Cut(text, []byte(" "))
	if !ok {
		return limits.Quota{}, lineError(1, text, errNoPeriod)
	}
	if string(quota) == "max" {
		quota = nil
	}
	return parseQuota(text, quota, period)
}

// parseCFS reads v1's cpu.cfs_quota_us, −1 for none, and cpu.cfs_period_us.
func parseCFS(quotaText, periodText []byte) (limits.Quota, error) {
	quota, period := bytes.TrimSpace(quotaText), bytes.TrimSpace(periodText)
	if bytes.HasPrefix(quota, []byte("-")) {
		quota = nil
	}
	return parseQuota(quotaText, quota, period)
}

// parseQuota reads both numbers in µs; a nil quota is none.
func parseQuota(line, quota, period []byte) (limits.Quota, error) {
	p, err := parseUint(period)
	if err != nil || p == 0 {
		return limits.Quota{}, lineError(1, period, errPeriod)
	}
	if quota == nil {
		return limits.Quota{}, nil
	}
	q, err := parseUint(quota)
	if err != nil {
		return limits.Quota{}, lineError(1, line, err)
	}
	return limits.Quota{Quota: micros(q), Period: micros(p)}, nil
}

// micros is n µs, saturating.
func micros(n uint64) time.Duration {
	if n > math.MaxInt64/uint64(time.Microsecond) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Microsecond
}

// parseMemoryStat reads v2's memory.stat. Keys it doesn't know pass.
func parseMemoryStat(text []byte, stat *limits.MemoryStat) error {
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

// parseMemoryStatV1 reads v1's memory.stat: the total_* keys, which count
// descendants as v2's do. swap is total_swap, the cgroup's swap in use.
func parseMemoryStatV1(text []byte, stat *limits.MemoryStat) (swap uint64, err error) {
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

// eachKey calls set for each line "key number".
func eachKey(text []byte, set func(key []byte, n uint64)) error {
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		key, value, ok := bytes.Cut(line, []byte(" "))
		if !ok || len(key) == 0 {
			return lineError(number, line, errNotKeyValue)
		}
		n, err := parseUint(value)
		if err != nil {
			return lineError(number, line, err)
		}
		set(key, n)
	}
	return nil
}

// parseUint reads an unsigned decimal number without blanks or sign. strconv
// would make a string, and an error with a copy of it, of every value.
func parseUint(digits []byte) (uint64, error) {
	if len(digits) == 0 {
		return 0, errNotNumber
	}
	n, over := uint64(0), false
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, errNotNumber
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			over = true
		}
		n = n*10 + d
	}
	if over {
		return 0, errTooLarge
	}
	return n, nil
}

func lineError(line int, input []byte, err error) error {
	return &ParseError{Line: line, Input: string(input), Err: err}
}
