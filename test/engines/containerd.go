// SPDX-License-Identifier: Apache-2.0

package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/runtime/discover"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// Containerd is a containerd of the test's own, used through ctr.
type Containerd struct {
	*base
	ctr   string
	execs int
}

// StartContainerd starts a containerd without its CRI plugin.
func StartContainerd(t testing.TB) *Containerd {
	t.Helper()
	program := testenv.RequireTool(t, "containerd")
	ctr := testenv.RequireTool(t, "ctr")
	c := &Containerd{base: newBase(t, "default"), ctr: ctr}
	config := filepath.Join(c.dir, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		filepath.Join(c.dir, "root"), c.State(), filepath.Join(c.dir, "sock"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := c.startDaemon(t, func() error {
		_, err := c.try(c.command("version")...)
		return err
	}, program, "--config", config)
	t.Cleanup(stop)
	return c
}

// Name implements Engine.
func (c *Containerd) Name() string { return discover.Containerd }

// State is containerd's state directory.
func (c *Containerd) State() string { return filepath.Join(c.dir, "state") }

func (c *Containerd) command(args ...string) []string {
	return append([]string{c.ctr, "--address", filepath.Join(c.dir, "sock")}, args...)
}

// Run implements Engine. ctr knows no names beside IDs.
func (c *Containerd) Run(t testing.TB, o Options) Running {
	t.Helper()
	args := []string{"run", "--detach", "--rootfs"}
	if o.Memory > 0 {
		args = append(args, "--memory-limit", strconv.FormatInt(o.Memory, 10))
	}
	args = append(append(append(args, o.Flags...), c.rootfs, o.Name), o.command()...)
	c.run(t, c.command(args...)...)
	r := Running{ID: o.Name, Name: o.Name}
	t.Cleanup(func() { c.Remove(t, r) })
	for line := range strings.Lines(c.run(t, c.command("task", "ls")...)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == o.Name {
			r.InitPID = pid(t, fields[1])
		}
	}
	if r.InitPID == 0 {
		t.Fatalf("engines: ctr task ls doesn't list %s", o.Name)
	}
	return r
}

// Exec implements Engine. What ctr starts has no PATH.
func (c *Containerd) Exec(t testing.TB, r Running, command ...string) string {
	t.Helper()
	c.execs++
	args := []string{"task", "exec", "--exec-id", fmt.Sprintf("exec%d", c.execs), r.ID, "/bin/busybox"}
	return c.run(t, c.command(append(args, command...)...)...)
}

// Remove implements Engine.
func (c *Containerd) Remove(t testing.TB, r Running) {
	t.Helper()
	if list := c.run(t, c.command("container", "ls", "-q")...); !strings.Contains(list, r.ID) {
		return
	}
	if _, err := c.try(c.command("task", "kill", "--signal", "SIGKILL", r.ID)...); err != nil {
		t.Error(err)
	}
	// A task can be removed when containerd has seen its end.
	for deadline := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
		_, err := c.try(c.command("task", "rm", r.ID)...)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Error(err)
			break
		}
	}
	c.run(t, c.command("container", "rm", r.ID)...)
}
