// SPDX-License-Identifier: Apache-2.0

package house

import (
	"path"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/procfs-shim/procfs-shim/"

// may is the table of the house: what a package, tests apart, may import beside
// the standard library. A name that ends in /… stands for a package and all
// below it; names without a dot are of this module.
func may() map[string][]string {
	const unix, mountinfo = "golang.org/x/sys/unix", "github.com/moby/sys/mountinfo"
	const toml = "github.com/pelletier/go-toml/v2/…"
	const cgroups, fuse = "github.com/containerd/cgroups/v3/…", "github.com/hanwen/go-fuse/v2/…"
	return map[string][]string{
		"cgroupread/cpulist":    {},
		"cgroupread/limits":     {"cgroupread/cpulist"},
		"cgroupread/branch":     {"cgroupread/cgroupfile", unix},
		"cgroupread/cgroupfile": {"cgroupread/cpulist", "cgroupread/limits"},
		"cgroupread":            {"cgroupread/…", unix, cgroups, mountinfo},
		"fusefs/procfile":       {},
		"fusefs/view":           {"fusefs/cputime", "fusefs/procfile", "cgroupread/cpulist", "cgroupread/limits"},
		"fusefs/load":           {"fusefs/procfile", unix},
		"fusefs/locate":         {"cgroupread/…", unix},
		"fusefs/hostread":       {"cgroupread/cpulist", "fusefs/procfile", unix},
		"fusefs/snapshot":       {},
		"fusefs/sysdir":         {unix},
		"fusefs/formats":        {"fusefs/procfile", "fusefs/view"},
		"fusefs/explain":        {"fusefs/formats", "fusefs/view", "cgroupread/cpulist"},
		"fusefs/source": {
			"cgroupread/…", "fusefs/cputime/…", "fusefs/hostread", "fusefs/load", "fusefs/locate", "fusefs/procfile", "fusefs/sysdir", "fusefs/view",
		},
		"fusefs/nodes":   {"fusefs/source", "fusefs/sysdir", unix},
		"fusefs/failure": {"cgroupread", "fusefs/hostread", "fusefs/locate", "fusefs/nodes", "fusefs/source", unix},
		"fusefs/texts": {
			"cgroupread", "fusefs/failure", "fusefs/hostread", "fusefs/locate", "fusefs/nodes", "fusefs/snapshot", "fusefs/source", "fusefs/view",
		},
		"fusefs": {
			"cgroupread/…", "fusefs/cputime/history", "fusefs/failure", "fusefs/hostread", "fusefs/nodes", "fusefs/snapshot", "fusefs/source",
			"fusefs/sysdir", "fusefs/texts", "fusefs/view", "fusefs/locate", fuse, unix,
		},
		"fusefs/nullfs":      {"fusefs", fuse, unix},
		"fusefs/daemon/…":    {"cgroupread/…", "fusefs/…", unix, mountinfo, toml},
		"fusefs/readbench/…": {"fusefs/readbench/…", unix},
		"runtime/attach":     {unix, mountinfo},
	}
}

// owners are outside dependencies and the only packages that import them.
func owners() map[string][]string {
	return map[string][]string{
		"github.com/hanwen/go-fuse":     {"fusefs", "fusefs/nullfs"}, // nullfs: the same, with nothing behind it
		"github.com/containerd/cgroups": {"cgroupread", "runtime/cgroup"},
		"github.com/pelletier/go-toml":  {"fusefs/daemon/config"},
		"github.com/spf13":              {"cmd/…"},
	}
}

func allowed(list []string, name string) bool {
	for _, entry := range list {
		tree, whole := strings.CutSuffix(entry, "/…")
		if name == entry || whole && (name == tree || strings.HasPrefix(name, tree+"/")) {
			return true
		}
	}
	return false
}

func TestImports(t *testing.T) {
	table := may()
	seen := map[string]bool{}
	for _, file := range sources(t) {
		seen[file.dir()] = true
		for _, spec := range file.tree.Imports {
			full, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", file.at(spec), err)
			}
			name := strings.TrimPrefix(full, module)
			if full == "runtime" && (spec.Name == nil || spec.Name.Name != "goruntime") {
				t.Errorf("%s: the standard runtime is imported as goruntime, beside our own", file.at(spec))
			}
			for outside, packages := range owners() {
				if (full == outside || strings.HasPrefix(full, outside+"/")) && !allowed(packages, file.dir()) {
					t.Errorf("%s: only %v import %s", file.at(spec), packages, outside)
				}
			}
			if file.test() {
				continue
			}
			if standard(full) {
				if full == "testing" && !strings.HasPrefix(file.path, "test/") {
					t.Errorf("%s: the program imports testing", file.at(spec))
				}
				continue
			}
			for packages, list := range table {
				if allowed([]string{packages}, file.dir()) && !allowed(list, name) {
					t.Errorf("%s: %s may import %v, not %s", file.at(spec), packages, list, name)
				}
			}
			if strings.HasPrefix(file.path, "runtime/") && (name == "fusefs" || strings.HasPrefix(name, "fusefs/")) {
				t.Errorf("%s: the runtime never imports the serving half; the seam is a list of mounts", file.at(spec))
			}
			if strings.HasPrefix(name, "test/") && !strings.HasPrefix(file.path, "test/") {
				t.Errorf("%s: only tests import test packages", file.at(spec))
			}
			if strings.HasPrefix(name, "cmd/") {
				t.Errorf("%s: nothing imports a command", file.at(spec))
			}
		}
	}
	for packages := range table {
		if dir := strings.TrimSuffix(packages, "/…"); !seen[dir] {
			t.Errorf("the table has rules for %s, which doesn't exist", dir)
		}
	}
}

// standard says whether an import path is of the standard library: its first
// element is no domain.
func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return path.Ext(first) == ""
}
