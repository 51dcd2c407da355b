// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/initproc"
	"github.com/procfs-shim/procfs-shim/runtime/initproc/mounts"
)

// streams are the three files for init; own are those that we opened for it.
type streams struct{ files, own []*os.File }

// standardStreams are the config's, or /dev/null where it has none and where a
// terminal will take their place.
func standardStreams(c Config) (streams, error) {
	s := streams{files: []*os.File{c.Stdin, c.Stdout, c.Stderr}}
	if c.Spec.Process.Terminal {
		s.files = make([]*os.File, 3)
	}
	if slices.Contains(s.files, nil) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return streams{}, fmt.Errorf("standard streams: %w", err)
		}
		s.own = []*os.File{null}
		for i, f := range s.files {
			if f == nil {
				s.files[i] = null
			}
		}
	}
	return s, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// cgroupDirs lists what a mount of type cgroup shows in the container: its own
// cgroup in each hierarchy.
func cgroupDirs(layout *cgroupread.Layout, paths cgroupread.Paths) ([]mounts.CgroupDir, error) {
	var dirs []mounts.CgroupDir
	for _, h := range layout.Hierarchies() {
		d := mounts.CgroupDir{}
		controller := ""
		switch {
		case !h.Unified:
			controller = h.Controllers[0]
			d.Name = strings.TrimPrefix(strings.Join(h.Controllers, ","), "name=")
		case layout.Mode() != cgroupread.V2:
			d.Name = "unified"
		}
		var err error
		if d.Dir, err = layout.Dir(paths, controller); err != nil {
			return nil, fmt.Errorf("cgroup mount: %w", err)
		}
		dirs = append(dirs, d)
	}
	if layout.Mode() == cgroupread.V2 {
		// A named v1 hierarchy beside it is the host's service manager's.
		dirs = slices.DeleteFunc(dirs, func(d mounts.CgroupDir) bool { return d.Name != "" })
	}
	return dirs, nil
}

// ForwardSignals passes every signal that this process gets on to the
// container, but SIGCHLD, SIGURG, and those named; stop ends that. What the
// kernel sends because of a fault of ours isn't caught, nor are SIGKILL and
// SIGSTOP.
//
// A container's first process ignores signals that it has no handler for
// (pid_namespaces(7)); that is its right, and Kill is there for the rest.
func (c *Container) ForwardSignals(except ...unix.Signal) (stop func()) {
	signals := make(chan os.Signal, 64)
	done := make(chan struct{})
	signal.Notify(signals)
	go func() {
		defer close(done)
		for s := range signals {
			sig, ok := s.(unix.Signal)
			if !ok || !initproc.Forwarded(sig) || slices.Contains(except, sig) {
				continue
			}
			if err := c.Signal(sig); err != nil && !errors.Is(err, ErrStopped) {
				c.warn("%v", err)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
