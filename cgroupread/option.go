// SPDX-License-Identifier: Apache-2.0

package cgroupread

import "golang.org/x/sys/unix"

// An Option changes how a [Layout] reads.
type Option func(*settings)

type settings struct{ descriptors int }

// Descriptors sets how many interface files are kept open at most, all cgroups
// together: those read least recently are closed. Each read in progress may need
// two more. A container's files are 4 to 20, of which those of its ancestors are
// shared. Without this option it is a quarter of what the process may open
// (RLIMIT_NOFILE), and no more than 1024.
func Descriptors(most int) Option { return func(s *settings) { s.descriptors = most } }

func defaultDescriptors() int {
	const most = 1024
	var may unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &may); err != nil || may.Cur/4 > most {
		return most
	}
	return int(may.Cur / 4)
}
