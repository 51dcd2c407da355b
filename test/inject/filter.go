// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data, <linux/seccomp.h>.
const (
	offsetNumber    = 0
	offsetArch      = 4
	offsetArguments = 16 // six of 8 bytes; the low half first on little-endian machines
)

// program compiles a filter that hands the calls in the table to the listener
// and lets every other one pass. It is a list of blocks, one for each call:
// either the number isn't the block's and the next block is tried, or the block
// decides.
func program(calls []call) ([]unix.SockFilter, error) {
	const load, equal, set, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS,
		unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
		unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K,
		unix.BPF_RET | unix.BPF_K
	pass := unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW}
	ask := unix.SockFilter{Code: give, K: unix.SECCOMP_RET_USER_NOTIF}

	filter := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: equal, Jt: 1, K: auditArch}, // a foreign call (32-bit) has other numbers
		pass,
		{Code: load, K: offsetNumber},
	}
	for _, c := range calls {
		if c.only == nil {
			filter = append(filter, unix.SockFilter{Code: equal, Jf: 1, K: uint32(c.number)}, ask)
			continue
		}
		whenSet, whenClear := ask, pass
		if !c.only.want {
			whenSet, whenClear = pass, ask
		}
		filter = append(filter,
			unix.SockFilter{Code: equal, Jf: 4, K: uint32(c.number)},
			unix.SockFilter{Code: load, K: uint32(offsetArguments + 8*c.only.argument)},
			unix.SockFilter{Code: set, Jf: 1, K: c.only.mask},
			whenSet, whenClear)
	}
	filter = append(filter, pass)
	if len(filter) > math.MaxUint16 {
		return nil, fmt.Errorf("inject: the filter has %d instructions", len(filter))
	}
	return filter, nil
}

// pick returns the calls of these kinds.
func pick(kinds []Kind) []call {
	want := map[Kind]bool{}
	for _, kind := range kinds {
		want[kind] = true
	}
	var picked []call
	for _, c := range table() {
		if want[c.kind] {
			picked = append(picked, c)
		}
	}
	return picked
}
