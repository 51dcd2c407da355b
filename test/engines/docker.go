// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/runtime/discover"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const image = "busybox-for-tests"

// Docker is a dockerd of the test's own.
type Docker struct {
	*base
	client string
}

// StartDocker starts a dockerd without networks and imports the image.
func StartDocker(t testing.TB) *Docker {
	t.Helper()
	dockerd := testenv.RequireTool(t, "dockerd")
	client := testenv.RequireTool(t, "docker")
	d := &Docker{base: newBase(t, "docker"), client: client}
	stop := d.startDaemon(t, func() error {
		_, err := d.try(d.command("version")...)
		return err
	}, dockerd, "--data-root", d.DataRoot(), "--exec-root", filepath.Join(d.dir, "exec"),
		"-H", d.Host(), "--pidfile", filepath.Join(d.dir, "pid"),
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false")
	t.Cleanup(stop)
	d.run(t, d.command("import", d.tarball(t), image)...)
	return d
}

// Name implements Engine.
func (d *Docker) Name() string { return discover.Docker }

// Host is the API's address, as DOCKER_HOST has it.
func (d *Docker) Host() string { return "unix://" + d.Socket() }

// Socket is the API's socket.
func (d *Docker) Socket() string { return filepath.Join(d.dir, "sock") }

// DataRoot is the daemon's --data-root.
func (d *Docker) DataRoot() string { return filepath.Join(d.dir, "data") }

func (d *Docker) command(args ...string) []string {
	return append([]string{d.client, "-H", d.Host()}, args...)
}

// Run implements Engine.
func (d *Docker) Run(t testing.TB, o Options) Running {
	t.Helper()
	args := []string{"run", "-d", "--network", "none", "--name", o.Name}
	if o.Memory > 0 {
		args = append(args, "-m", strconv.FormatInt(o.Memory, 10))
	}
	if o.HostPID {
		args = append(args, "--pid", "host")
	}
	args = append(append(append(args, o.Flags...), image), o.command()...)
	c := Running{ID: strings.TrimSpace(d.run(t, d.command(args...)...)), Name: o.Name}
	t.Cleanup(func() { d.Remove(t, c) })
	c.InitPID = pid(t, d.run(t, d.command("inspect", "-f", "{{.State.Pid}}", c.ID)...))
	return c
}

// Exec implements Engine.
func (d *Docker) Exec(t testing.TB, c Running, command ...string) string {
	t.Helper()
	return d.run(t, d.command(append([]string{"exec", c.ID}, command...)...)...)
}

// Remove implements Engine.
func (d *Docker) Remove(t testing.TB, c Running) {
	t.Helper()
	d.run(t, d.command("rm", "-f", c.ID)...)
}
