// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// status is what a pass needs of /proc/TID/status (proc_pid_status(5)).
type status struct {
	state byte // R, S, D, T, t, X, Z, P, I
	// pids is the rest of the line NSpid: the task's TID in each of its PID
	// namespaces, that of the reading procfs first, its own last. Empty in a
	// text without the line: before Linux 4.1, or cut off before it.
	pids []byte
}

// parseStatus parses the beginning of a status file. The name of the task can't
// fake a line: the kernel escapes newlines in it.
func parseStatus(text []byte) (status, error) {
	var s status
	number := 0
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		number++
		if value, ok := bytes.CutPrefix(line, []byte("State:\t")); ok && s.state == 0 {
			if len(value) == 0 {
				return status{}, &procfile.ParseError{Path: statusPath, Line: number, Text: string(line), Cause: procfile.ErrForm}
			}
			s.state = value[0]
		} else if value, ok := bytes.CutPrefix(line, []byte("NSpid:\t")); ok {
			s.pids = value
			break
		}
	}
	if s.state == 0 {
		return status{}, &procfile.ParseError{Path: statusPath, Text: "State", Cause: procfile.ErrMissing}
	}
	return s, nil
}

const statusPath = "proc/TID/status"

// depth is in how many PID namespaces the task has a number.
func (s status) depth() int {
	if len(s.pids) == 0 {
		return 0
	}
	return 1 + bytes.Count(s.pids, []byte{'\t'})
}

// pid is the task's number in the PID namespace that is so deep, 1 being that of
// the procfs; 0 if the task has none there. Depth 0 asks for its own namespace.
func (s status) pid(depth int) int {
	pids := s.pids
	if depth == 0 {
		pids = pids[bytes.LastIndexByte(pids, '\t')+1:]
	}
	for ; depth > 1; depth-- {
		_, rest, deeper := bytes.Cut(pids, []byte{'\t'})
		if !deeper {
			return 0
		}
		pids = rest
	}
	n := 0
	for _, c := range pids {
		if c < '0' || c > '9' || n > maxPID {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// maxPID is more than any PID (PID_MAX_LIMIT is 2^22).
const maxPID = 1 << 23
