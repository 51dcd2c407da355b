// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime/history"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
)

// Alive says which histories may be of containers that are there now: those for
// whose start some process began. It lists procRoot once, for a server that starts.
// A history without a start is of a cgroup whose init isn't known; it stays until
// the machine is restarted.
func Alive(procRoot string, layout *cgroupread.Layout) (func(history.Key) bool, error) {
	proc, err := os.Open(procRoot)
	if err != nil {
		return nil, err
	}
	names, err := proc.Readdirnames(-1)
	if err := errors.Join(err, proc.Close()); err != nil {
		return nil, err
	}
	starts := map[time.Duration]bool{0: true}
	l := locate.New(procRoot, layout)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if init, err := l.Init(pid); err == nil { // else it has ended meanwhile
			starts[init.Start] = true
		}
	}
	return func(k history.Key) bool { return starts[k.Start] }, nil
}
