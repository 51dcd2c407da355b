// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// taskDir is where containerd keeps a directory for each container from its
// creation to its deletion: STATE/taskDir/NAMESPACE/ID.
const taskDir = "io.containerd.runtime.v2.task"

// containerdIDs reads the state directories of every containerd once: those of
// the roots, and those in which the shims among the host's processes work.
func (f *Finder) containerdIDs(pids []int) func(namespace, id string) bool {
	roots := map[string]bool{}
	for _, root := range f.roots.Containerd {
		roots[root] = true
	}
	for _, pid := range pids {
		if root, ok := f.shimState(pid); ok {
			roots[root] = true
		}
	}
	ids := map[[2]string]bool{}
	for root := range roots {
		for _, dir := range []string{filepath.Join(root, taskDir), filepath.Join(root, "io.containerd.runtime.v1.linux")} {
			for _, namespace := range names(dir) {
				for _, id := range names(filepath.Join(dir, namespace)) {
					ids[[2]string{namespace, id}] = true
				}
			}
		}
	}
	return func(namespace, id string) bool { return ids[[2]string{namespace, id}] }
}

// shimState is the state directory of the containerd that a shim works for: its
// working directory is STATE/taskDir/NAMESPACE/ID. Anybody can call a program
// containerd-shim, so only root's are believed, or our own user's.
func (f *Finder) shimState(pid int) (string, bool) {
	comm, err := os.ReadFile(f.file(pid, "comm"))
	if err != nil || !strings.HasPrefix(string(comm), "containerd-shim") {
		return "", false
	}
	var st unix.Stat_t
	if err := unix.Stat(f.file(pid, ""), &st); err != nil || st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return "", false
	}
	tasks := filepath.Dir(filepath.Dir(f.link(pid, "cwd")))
	return filepath.Dir(tasks), filepath.Base(tasks) == taskDir
}

func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no such engine here, or not for us to see
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// witness says whose container a bare ID is: docker run --cgroup-parent and
// Kubernetes with the cgroupfs driver make such cgroups. The state directories
// are asked first, then the process that started init and waits for its end.
func (f *Finder) witness(id string, first process, known func(namespace, id string) bool) (engine, namespace string) {
	for _, root := range f.roots.Docker {
		if _, err := os.Lstat(filepath.Join(root, "containers", id)); err == nil {
			return Docker, ""
		}
	}
	if known("k8s.io", id) {
		return Containerd, "k8s.io"
	}
	args := f.arguments(first.parent)
	if len(args) == 0 {
		return "", ""
	}
	switch program := filepath.Base(args[0]); {
	case strings.HasPrefix(program, "containerd-shim"):
		namespace = option(args, "namespace")
		if namespace == "moby" {
			return Docker, ""
		}
		return Containerd, namespace
	case program == "conmon" || program == "conmonrs":
		if strings.Contains(strings.Join(args, " "), "crio") {
			return CRIO, ""
		}
		return Podman, ""
	default:
		return "", ""
	}
}

// option is the value of -NAME VALUE, --NAME VALUE or either with an "=".
func option(args []string, name string) string {
	for i, a := range args {
		a = strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-")
		if a == name && i+1 < len(args) {
			return args[i+1]
		}
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v
		}
	}
	return ""
}

// lxcName is a container's name as LXC knows it: the monitor, which is init's
// parent, calls itself "[lxc monitor] LXCPATH NAME". The cgroup may be named
// NAME-1 where one of an earlier run was in the way.
func (f *Finder) lxcName(id string, first process) string {
	line := strings.TrimSpace(strings.Join(f.arguments(first.parent), " "))
	rest, ok := strings.CutPrefix(line, "[lxc monitor] ")
	if !ok {
		return id
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 || !strings.HasPrefix(id, fields[len(fields)-1]) {
		return id
	}
	return fields[len(fields)-1]
}
