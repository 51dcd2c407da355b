// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/runtime/discover"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// Podman has no daemon: each command does its work itself.
type Podman struct {
	*base
	program, runtime string
}

// StartPodman prepares a storage of its own and imports the image. runtime is
// "runc" or "crun".
func StartPodman(t testing.TB, runtime string) *Podman {
	t.Helper()
	program := testenv.RequireTool(t, "podman")
	testenv.RequireTool(t, runtime)
	p := &Podman{base: newBase(t, "libpod_parent"), program: program, runtime: runtime}
	if layout, err := testenv.CgroupLayout(); err != nil {
		t.Fatal(err)
	} else if runtime == "crun" && layout == "hybrid" {
		p.hideUnified(t)
	}
	p.run(t, p.command("import", p.tarball(t), image)...)
	return p
}

// hideUnified runs podman's commands in a mount namespace in which the cgroup2
// of a hybrid host isn't to be seen: crun refuses to work with it.
func (p *Podman) hideUnified(t testing.TB) {
	t.Helper()
	const script = "mount -t tmpfs none /sys/fs/cgroup/unified && echo ready && exec cat"
	holder := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
	holder.Stderr = os.Stderr
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = holder.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("engines: hide cgroup2: %q, %v", line, err)
	}
	p.prefix = []string{"nsenter", "--mount=/proc/" + strconv.Itoa(holder.Process.Pid) + "/ns/mnt", "--"}
}

// Name implements Engine.
func (p *Podman) Name() string { return discover.Podman }

// Storage is podman's --root.
func (p *Podman) Storage() string { return filepath.Join(p.dir, "storage") }

func (p *Podman) command(args ...string) []string {
	return append([]string{
		p.program, "--root", p.Storage(), "--runroot", filepath.Join(p.dir, "run"), "--tmpdir", filepath.Join(p.dir, "tmp"),
		"--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", p.runtime,
	}, args...)
}

// Run implements Engine. Limits of descriptors and processes are given since
// the defaults are beyond what root without CAP_SYS_RESOURCE may set.
func (p *Podman) Run(t testing.TB, o Options) Running {
	t.Helper()
	args := []string{"run", "-d", "--network", "none", "--name", o.Name, "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"}
	if o.Memory > 0 {
		args = append(args, "-m", strconv.FormatInt(o.Memory, 10))
	}
	if o.HostPID {
		args = append(args, "--pid", "host")
	}
	args = append(append(append(args, o.Flags...), image), o.command()...)
	c := Running{ID: strings.TrimSpace(p.run(t, p.command(args...)...)), Name: o.Name}
	t.Cleanup(func() { p.Remove(t, c) })
	c.InitPID = pid(t, p.run(t, p.command("inspect", "-f", "{{.State.Pid}}", c.ID)...))
	return c
}

// Exec implements Engine.
func (p *Podman) Exec(t testing.TB, c Running, command ...string) string {
	t.Helper()
	return p.run(t, p.command(append([]string{"exec", c.ID}, command...)...)...)
}

// Remove implements Engine.
func (p *Podman) Remove(t testing.TB, c Running) {
	t.Helper()
	p.run(t, p.command("rm", "-f", "-i", "-t", "0", c.ID)...)
}
