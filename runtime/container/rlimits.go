// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/initproc/spawn"
)

// resource is the number of a limit's name, getrlimit(2).
func resource(name string) (number int, known bool) {
	switch name {
	case "RLIMIT_AS":
		return unix.RLIMIT_AS, true
	case "RLIMIT_CORE":
		return unix.RLIMIT_CORE, true
	case "RLIMIT_CPU":
		return unix.RLIMIT_CPU, true
	case "RLIMIT_DATA":
		return unix.RLIMIT_DATA, true
	case "RLIMIT_FSIZE":
		return unix.RLIMIT_FSIZE, true
	case "RLIMIT_LOCKS":
		return unix.RLIMIT_LOCKS, true
	case "RLIMIT_MEMLOCK":
		return unix.RLIMIT_MEMLOCK, true
	case "RLIMIT_MSGQUEUE":
		return unix.RLIMIT_MSGQUEUE, true
	case "RLIMIT_NICE":
		return unix.RLIMIT_NICE, true
	case "RLIMIT_NOFILE":
		return unix.RLIMIT_NOFILE, true
	case "RLIMIT_NPROC":
		return unix.RLIMIT_NPROC, true
	case "RLIMIT_RSS":
		return unix.RLIMIT_RSS, true
	case "RLIMIT_RTPRIO":
		return unix.RLIMIT_RTPRIO, true
	case "RLIMIT_RTTIME":
		return unix.RLIMIT_RTTIME, true
	case "RLIMIT_SIGPENDING":
		return unix.RLIMIT_SIGPENDING, true
	case "RLIMIT_STACK":
		return unix.RLIMIT_STACK, true
	}
	return 0, false
}

// raiseLimits raises the hard limits of the parked process pid where the config
// wants more than it has, which only we may do, and returns the limits that it
// is then able to set on itself. Nothing is lowered here: init is a Go program
// and needs address space and descriptors until the very end. Where raising is
// not permitted (no CAP_SYS_RESOURCE), the limit stays what it can be, with a
// warning.
func raiseLimits(pid int, wanted []specs.POSIXRlimit, warn func(string, ...any)) ([]spawn.Rlimit, error) {
	var set []spawn.Rlimit
	for _, w := range wanted {
		number, known := resource(w.Type)
		if !known {
			return nil, fmt.Errorf("rlimit %s: no such limit", w.Type)
		}
		var now unix.Rlimit
		if err := unix.Prlimit(pid, number, nil, &now); err != nil {
			return nil, fmt.Errorf("rlimit %s: %w", w.Type, err)
		}
		limit := unix.Rlimit{Cur: w.Soft, Max: w.Hard}
		if limit.Max > now.Max {
			raised := unix.Rlimit{Cur: now.Cur, Max: limit.Max}
			err := unix.Prlimit(pid, number, &raised, nil)
			if errors.Is(err, unix.EPERM) {
				limit = unix.Rlimit{Cur: min(limit.Cur, now.Max), Max: now.Max}
				warn("rlimit %s: hard limit %s can't be raised to %s, soft limit is %s", w.Type,
					limitText(now.Max), limitText(w.Hard), limitText(limit.Cur))
			} else if err != nil {
				return nil, fmt.Errorf("rlimit %s: %w", w.Type, err)
			}
		}
		set = append(set, spawn.Rlimit{Resource: number, Rlimit: limit})
	}
	return set, nil
}

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// setOOMScore writes oom_score_adj of pid. Lowering it needs
// CAP_SYS_RESOURCE, without which it is a warning.
func setOOMScore(proc string, pid, score int, warn func(string, ...any)) error {
	path := filepath.Join(proc, strconv.Itoa(pid), "oom_score_adj")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("oomScoreAdj: %w", err)
	}
	if strings.TrimSpace(string(text)) == strconv.Itoa(score) {
		return nil
	}
	err = os.WriteFile(path, []byte(strconv.Itoa(score)), 0)
	if errors.Is(err, os.ErrPermission) {
		warn("oomScoreAdj: %d is not permitted, it stays %s", score, strings.TrimSpace(string(text)))
		return nil
	}
	if err != nil {
		return fmt.Errorf("oomScoreAdj: %w", err)
	}
	return nil
}
