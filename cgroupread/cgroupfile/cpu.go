// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"bytes"
	"math"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// ParseCPUMax reads v2's cpu.max: "max 100000" or "50000 100000", both in µs.
func ParseCPUMax(text []byte) (limits.Quota, error) {
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

// ParseCFS reads v1's cpu.cfs_quota_us, −1 for none, and cpu.cfs_period_us. An
// error is about the first file, unless it is [ErrPeriod].
func ParseCFS(quotaText, periodText []byte) (limits.Quota, error) {
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
		return limits.Quota{}, lineError(1, period, ErrPeriod)
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

// CPUStat is what views need of cpu.stat.
type CPUStat struct {
	// Usage, User and System are v2's; v1 has them in cpuacct's files.
	Usage, User, System time.Duration
	// Throttled is v2's throttled_usec, v1's throttled_time; 0 where the cpu
	// controller is off.
	Throttled time.Duration
}

// ParseCPUStat reads v2's cpu.stat, in µs, or v1's, in ns: the keys tell which.
func ParseCPUStat(text []byte) (CPUStat, error) {
	var s CPUStat
	err := eachKey(text, func(key []byte, n uint64) {
		switch string(key) {
		case "usage_usec":
			s.Usage = micros(n)
		case "user_usec":
			s.User = micros(n)
		case "system_usec":
			s.System = micros(n)
		case "throttled_usec":
			s.Throttled = micros(n)
		case "throttled_time":
			s.Throttled = duration(n, time.Nanosecond)
		}
	})
	return s, err
}

// ParseCPUAcctUsage reads v1's cpuacct.usage, in ns.
func ParseCPUAcctUsage(text []byte) (time.Duration, error) {
	n, err := ParseUsage(text)
	return duration(n, time.Nanosecond), err
}

// ParseUsagePerCPU reads v1's cpuacct.usage_percpu, ns for each possible CPU, and
// appends them. The kernel lists the possible CPUs in order, without their numbers: they are taken for
// 0, 1, 2 …, as they are wherever firmware counts its CPUs without gaps.
func ParseUsagePerCPU(dst []time.Duration, text []byte) ([]time.Duration, error) {
	text = bytes.TrimSpace(text)
	for rest := text; len(rest) > 0; {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte(" "))
		n, err := parseUint(field)
		if err != nil {
			return dst, lineError(1, text, err)
		}
		dst = append(dst, duration(n, time.Nanosecond))
	}
	return dst, nil
}

// ParseCPUAcctStat reads v1's cpuacct.stat: ticks of 1/USER_HZ s, which is 10 ms
// on every architecture that Go runs on.
func ParseCPUAcctStat(text []byte) (user, system time.Duration, err error) {
	const tick = 10 * time.Millisecond
	err = eachKey(text, func(key []byte, n uint64) {
		switch string(key) {
		case "user":
			user = duration(n, tick)
		case "system":
			system = duration(n, tick)
		}
	})
	return user, system, err
}

// micros is n µs, saturating.
func micros(n uint64) time.Duration { return duration(n, time.Microsecond) }

// duration is n units, saturating.
func duration(n uint64, unit time.Duration) time.Duration {
	if n > math.MaxInt64/uint64(unit) {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}
