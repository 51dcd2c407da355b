// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
)

const (
	// minMemory is docker's: less starts nothing.
	minMemory = 6 << 20
	// defaultPeriod is the kernel's cpu.cfs_period_us, that --cpus counts in.
	defaultPeriod = 100000
	minCFS        = 1000
	maxCFS        = 1000000
	// maxPids is the kernel's PID_MAX_LIMIT on 64 bit, also that of pids.max.
	maxPids = 4 << 20
)

// resources is the whole of the limits.
func (o *Options) resources(host Host) (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{Devices: deviceRules()}
	var err error
	if r.Memory, err = o.memory(host); err != nil {
		return nil, err
	}
	if r.CPU, err = o.cpu(host); err != nil {
		return nil, err
	}
	if r.BlockIO, err = o.blockIO(host); err != nil {
		return nil, err
	}
	switch {
	case o.PidsLimit < -1:
		return nil, bad("--pids-limit", o.PidsLimit, "neither a number nor -1 for no limit")
	case o.PidsLimit > maxPids:
		return nil, bad("--pids-limit", o.PidsLimit, "more than the kernel's %d", maxPids)
	case o.PidsLimit > 0:
		limit := o.PidsLimit
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	// What is left are controllers that this host lacks.
	if err := cgroup.Validate(r, host.Limits); err != nil {
		return nil, err
	}
	return r, nil
}

func (o *Options) memory(host Host) (*specs.LinuxMemory, error) {
	limit, err := bytesOf("--memory", o.Memory)
	if err != nil {
		return nil, err
	}
	reservation, err := bytesOf("--memory-reservation", o.MemoryReservation)
	if err != nil {
		return nil, err
	}
	swap := int64(-1)
	if o.MemorySwap != "-1" {
		if swap, err = bytesOf("--memory-swap", o.MemorySwap); err != nil {
			return nil, err
		}
	}
	switch {
	case limit > 0 && limit < minMemory:
		return nil, bad("--memory", o.Memory, "less than the minimum of 6 MiB")
	case reservation > 0 && reservation < minMemory:
		return nil, bad("--memory-reservation", o.MemoryReservation, "less than the minimum of 6 MiB")
	case limit > 0 && reservation > limit:
		return nil, bad("--memory-reservation", o.MemoryReservation, "more than --memory %s", o.Memory)
	case swap > 0 && limit == 0:
		return nil, bad("--memory-swap", o.MemorySwap, "is memory and swap together: give --memory too")
	case swap > 0 && swap < limit:
		return nil, bad("--memory-swap", o.MemorySwap, "is memory and swap together, so not less than --memory %s", o.Memory)
	case swap > 0 && !host.Limits.SwapLimit():
		return nil, bad("--memory-swap", o.MemorySwap, "this kernel counts no swap (boot it with swapaccount=1)")
	}
	m := &specs.LinuxMemory{}
	if limit > 0 {
		m.Limit = &limit
	}
	if reservation > 0 {
		m.Reservation = &reservation
	}
	switch {
	case swap > 0:
		m.Swap = &swap
	case swap == 0 && limit > 0 && limit <= math.MaxInt64/2 && host.Limits.SwapLimit():
		// As docker: as much swap as memory. Where swap isn't counted there is
		// no such limit, and nobody asked for it by name.
		double := 2 * limit
		m.Swap = &double
	}
	if *m == (specs.LinuxMemory{}) {
		return nil, nil
	}
	return m, nil
}

// bytesOf parses a size; "" and 0 are none.
func bytesOf(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := units.RAMInBytes(text)
	switch {
	case err != nil:
		return 0, bad(flag, text, "not a size (such as 512m or 2g)")
	case n < 0, n == math.MaxInt64:
		// The library counts in floating point; beyond int64 the conversion
		// gives the smallest number on amd64 and the largest on arm64.
		return 0, bad(flag, text, "2^63 bytes or more")
	}
	return n, nil
}

func (o *Options) cpu(host Host) (*specs.LinuxCPU, error) {
	c := &specs.LinuxCPU{}
	quota, err := o.bandwidth(host)
	if err != nil {
		return nil, err
	}
	switch {
	case quota != 0:
		period := uint64(defaultPeriod)
		c.Quota, c.Period = &quota, &period
	default:
		if o.CPUQuota != 0 {
			quota := o.CPUQuota
			c.Quota = &quota
		}
		if o.CPUPeriod != 0 {
			period := uint64(o.CPUPeriod)
			c.Period = &period
		}
	}
	switch {
	case o.CPUShares < 0 || o.CPUShares == 1 || o.CPUShares > 1<<18:
		return nil, bad("--cpu-shares", o.CPUShares, "not from 2 to 262144")
	case o.CPUShares > 0:
		shares := uint64(o.CPUShares)
		c.Shares = &shares
	}
	if c.Cpus, err = idList("--cpuset-cpus", o.CPUsetCPUs, "CPUs", host.Limits.CPUs); err != nil {
		return nil, err
	}
	if c.Mems, err = idList("--cpuset-mems", o.CPUsetMems, "memory nodes", host.Limits.Mems); err != nil {
		return nil, err
	}
	if *c == (specs.LinuxCPU{}) {
		return nil, nil
	}
	return c, nil
}

// bandwidth checks the three flags that limit CPU time and returns the quota
// that --cpus asks for in the default period, 0 without --cpus.
func (o *Options) bandwidth(host Host) (int64, error) {
	switch {
	case o.CPUQuota < -1 || o.CPUQuota > 0 && o.CPUQuota < minCFS:
		return 0, bad("--cpu-quota", o.CPUQuota, "less than the minimum of 1 ms (%d µs)", minCFS)
	case o.CPUQuota > math.MaxInt64/1000:
		return 0, bad("--cpu-quota", o.CPUQuota, "more microseconds than the kernel counts")
	case o.CPUPeriod != 0 && (o.CPUPeriod < minCFS || o.CPUPeriod > maxCFS):
		return 0, bad("--cpu-period", o.CPUPeriod, "not from 1 ms to 1 s (%d to %d µs)", minCFS, maxCFS)
	}
	count := host.OnlineCPUs.Len()
	if o.CPUs == "" {
		return 0, nil
	}
	cpus, err := decimal(o.CPUs)
	switch {
	case err != nil:
		return 0, bad("--cpus", o.CPUs, "%w", err)
	case cpus.Sign() == 0:
		return 0, nil
	case o.CPUQuota != 0:
		return 0, bad("--cpus", o.CPUs, "in conflict with --cpu-quota %d", o.CPUQuota)
	case o.CPUPeriod != 0:
		return 0, bad("--cpus", o.CPUs, "in conflict with --cpu-period %d", o.CPUPeriod)
	case cpus.Cmp(big.NewRat(1, 100)) < 0 || count > 0 && cpus.Cmp(big.NewRat(int64(count), 1)) > 0:
		return 0, bad("--cpus", o.CPUs, "not from 0.01 to %d, the CPUs of this host", count)
	}
	// Whole microseconds; the fraction that is cut off is below 1/100000 CPU.
	quota := new(big.Rat).Mul(cpus, big.NewRat(defaultPeriod, 1))
	return new(big.Int).Div(quota.Num(), quota.Denom()).Int64(), nil
}

// decimal parses digits with an optional point. big.Rat alone would also take
// fractions, exponents and signs.
func decimal(text string) (*big.Rat, error) {
	digits := strings.Count(text, ".") <= 1 && strings.Trim(text, "0123456789.") == "" && strings.Trim(text, ".") != ""
	if !digits || len(text) > 32 {
		return nil, errors.New("not a number of CPUs (such as 1.5)")
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, errors.New("not a number of CPUs (such as 1.5)")
	}
	return r, nil
}

// idList checks a list of CPUs or nodes and writes it as the kernel does.
func idList(flag, text, what string, here func() (cpulist.Set, bool)) (string, error) {
	if text == "" {
		return "", nil
	}
	wanted, err := cpulist.Parse(text)
	switch {
	case err != nil:
		return "", &Error{Flag: flag, Value: text, Err: err}
	case wanted.IsEmpty():
		return "", bad(flag, text, "an empty list")
	}
	if has, ok := here(); ok && !wanted.Minus(has).IsEmpty() {
		return "", bad(flag, text, "%s not available, this host has the %s %s", wanted.Minus(has), what, has)
	}
	return wanted.String(), nil
}

func (o *Options) blockIO(host Host) (*specs.LinuxBlockIO, error) {
	b := &specs.LinuxBlockIO{}
	switch {
	case o.BlkioWeight == 0:
	case o.BlkioWeight < 10 || o.BlkioWeight > 1000:
		return nil, bad("--blkio-weight", o.BlkioWeight, "not from 10 to 1000")
	case host.Limits.Has("io") && !host.Limits.IOWeight():
		return nil, bad("--blkio-weight", o.BlkioWeight,
			"this kernel has no I/O weights (they need the BFQ scheduler, or iocost on cgroup v2)")
	default:
		weight := uint16(o.BlkioWeight)
		b.Weight = &weight
	}
	some := b.Weight != nil
	for _, f := range []struct {
		flag   string
		values []string
		rate   func(string) (uint64, error)
		to     *[]specs.LinuxThrottleDevice
	}{
		{"--device-read-bps", o.DeviceReadBps, bytesRate, &b.ThrottleReadBpsDevice},
		{"--device-write-bps", o.DeviceWriteBps, bytesRate, &b.ThrottleWriteBpsDevice},
		{"--device-read-iops", o.DeviceReadIOps, countRate, &b.ThrottleReadIOPSDevice},
		{"--device-write-iops", o.DeviceWriteIOps, countRate, &b.ThrottleWriteIOPSDevice},
	} {
		for _, text := range f.values {
			path, rate, err := parseThrottle(text, f.rate)
			if err != nil {
				return nil, &Error{Flag: f.flag, Value: text, Err: err}
			}
			major, minor, err := host.disk(path)
			if err != nil {
				return nil, &Error{Flag: f.flag, Value: text, Err: err}
			}
			if rate == 0 {
				continue // no limit
			}
			d := specs.LinuxThrottleDevice{Rate: rate}
			d.Major, d.Minor = major, minor
			*f.to = append(*f.to, d)
			some = true
		}
	}
	if !some {
		return nil, nil
	}
	return b, nil
}

// parseThrottle splits DEVICE:RATE at the last colon: names below
// /dev/disk/by-path have colons too.
func parseThrottle(text string, parse func(string) (uint64, error)) (path string, rate uint64, err error) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return "", 0, errors.New("not DEVICE:RATE")
	}
	path = text[:at]
	if !strings.HasPrefix(path, "/dev/") || filepath.Clean(path) != path {
		return "", 0, fmt.Errorf("%s: not a device below /dev", quoteOdd(path))
	}
	rate, err = parse(text[at+1:])
	return path, rate, err
}

func bytesRate(text string) (uint64, error) {
	n, err := units.RAMInBytes(text)
	if err != nil || n < 0 || n == math.MaxInt64 {
		return 0, fmt.Errorf("%s: not a rate in bytes per second (such as 1mb)", quoteOdd(text))
	}
	return uint64(n), nil
}

func countRate(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 32) // iops_device takes an unsigned int
	if err != nil {
		return 0, fmt.Errorf("%s: not a number of operations per second", quoteOdd(text))
	}
	return n, nil
}

// disk is the device number of a whole block device.
func (h Host) disk(path string) (major, minor int64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, fmt.Errorf("%s: not a block device", path)
	}
	major, minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	partition := filepath.Join(h.SysRoot, fmt.Sprintf("dev/block/%d:%d/partition", major, minor))
	if _, err := os.Stat(partition); err == nil {
		return 0, 0, fmt.Errorf("%s: a partition; only whole disks can be limited", path)
	}
	return major, minor, nil
}
