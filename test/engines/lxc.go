// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/runtime/discover"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// LXC has no daemon: lxc-start leaves a monitor for each container.
type LXC struct{ *base }

// StartLXC prepares a directory for LXC's containers.
func StartLXC(t testing.TB) *LXC {
	t.Helper()
	for _, tool := range []string{"lxc-start", "lxc-stop", "lxc-info", "lxc-attach"} {
		testenv.RequireTool(t, tool)
	}
	keepCloneChildren(t)
	l := &LXC{newBase(t, "lxc", "lxc.payload", "lxc.monitor", "lxc.pivot")}
	if err := os.Mkdir(l.path(), 0o755); err != nil {
		t.Fatal(err)
	}
	return l
}

// keepCloneChildren puts back what LXC turns on in the root of the v1 cpuset
// hierarchy and leaves so: new cgroups inherit their parent's CPUs.
func keepCloneChildren(t testing.TB) {
	t.Helper()
	const file = "/sys/fs/cgroup/cpuset/cgroup.clone_children"
	before, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return // a v2 host
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, before, 0); err != nil {
			t.Errorf("engines: %v", err)
		}
	})
}

// Name implements Engine.
func (l *LXC) Name() string { return discover.LXC }

func (l *LXC) path() string { return filepath.Join(l.dir, "lxc") }

func (l *LXC) command(program, name string, args ...string) []string {
	return append([]string{program, "-P", l.path(), "-n", name}, args...)
}

// PlaceLXCFS makes LXCFS's tree known to the containers that are started from
// now on in the place where LXC's mount hook looks for it, and has the hook bind
// it into them for containers inside. LXC is run in a mount namespace where it
// is mounted there; the host's own place stays as it is.
func (l *LXC) PlaceLXCFS(t testing.TB, lxcfs *LXCFS) {
	t.Helper()
	const place = "/var/lib/lxcfs"
	if err := os.MkdirAll(filepath.Join(l.rootfs, place), 0o755); err != nil {
		t.Fatal(err)
	}
	l.prefix = []string{"unshare", "--mount", "sh", "-c", "mount --bind " + lxcfs.Dir + " " + place + ` && exec "$@"`, "sh"}
}

// Run implements Engine. Options.Flags are lines of the configuration.
func (l *LXC) Run(t testing.TB, o Options) Running {
	t.Helper()
	config := []string{
		"lxc.rootfs.path = dir:" + l.rootfs,
		"lxc.uts.name = " + o.Name,
		"lxc.net.0.type = empty",
		"lxc.apparmor.profile = unconfined",
		"lxc.mount.auto = proc:mixed sys:ro",
		"lxc.init.cmd = " + strings.Join(o.command(), " "),
	}
	if o.Memory > 0 {
		config = append(config, fmt.Sprintf("lxc.cgroup.memory.limit_in_bytes = %d", o.Memory), fmt.Sprintf("lxc.cgroup2.memory.max = %d", o.Memory))
	}
	dir := filepath.Join(l.path(), o.Name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(append(config, o.Flags...), "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Running{ID: o.Name, Name: o.Name}
	l.run(t, l.command("lxc-start", o.Name, "-d")...)
	t.Cleanup(func() { l.Remove(t, c) })
	c.InitPID = pid(t, l.run(t, l.command("lxc-info", o.Name, "-p", "-H")...))
	return c
}

// Exec implements Engine.
func (l *LXC) Exec(t testing.TB, c Running, command ...string) string {
	t.Helper()
	return l.run(t, l.command("lxc-attach", c.Name, append([]string{"--"}, command...)...)...)
}

// Remove implements Engine. It keeps the configuration.
func (l *LXC) Remove(t testing.TB, c Running) {
	t.Helper()
	if state := l.run(t, l.command("lxc-info", c.Name, "-s", "-H")...); strings.TrimSpace(state) == "RUNNING" {
		l.run(t, l.command("lxc-stop", c.Name, "-k")...)
	}
}
