// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"os"
	"path/filepath"
	"strings"
)

// containerdIDs reads containerd's state directories once: STATE/io.containerd.
// runtime.v2.task/NAMESPACE/ID is there from a container's creation to its
// deletion.
func (f *Finder) containerdIDs() func(namespace, id string) bool {
	ids := map[[2]string]bool{}
	for _, root := range f.roots.Containerd {
		for _, runtime := range []string{"io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"} {
			dir := filepath.Join(root, runtime)
			for _, namespace := range names(dir) {
				for _, id := range names(filepath.Join(dir, namespace)) {
					ids[[2]string{namespace, id}] = true
				}
			}
		}
	}
	return func(namespace, id string) bool { return ids[[2]string{namespace, id}] }
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
func (f *Finder) witness(id string, first process) (engine, namespace string) {
	for _, root := range f.roots.Docker {
		if _, err := os.Lstat(filepath.Join(root, "containers", id)); err == nil {
			return Docker, ""
		}
	}
	known := f.containerdIDs()
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
