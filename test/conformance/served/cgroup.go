// SPDX-License-Identifier: Apache-2.0

package served

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// A Cgroup is a cgroup made for a test: a directory of the same path in the
// hierarchy of each controller that views read.
type Cgroup struct {
	Path string // relative to the root: "/procfs-shim-test-…"

	t  testing.TB
	v2 bool
}

// mount is where cgroup hierarchies are.
const mount = "/sys/fs/cgroup"

// controllers are those that the cgroups of tests have. cpuacct has a hierarchy
// of its own or, on hosts that systemd set up, cpu's under another name.
func controllers() []string {
	all := []string{"memory", "cpu", "cpuset"}
	cpu, err := os.Stat(filepath.Join(mount, "cpu"))
	acct, acctErr := os.Stat(filepath.Join(mount, "cpuacct"))
	if err == nil && acctErr == nil && !os.SameFile(cpu, acct) {
		all = append(all, "cpuacct")
	}
	return all
}

// NewCgroup makes a cgroup below the root, which is removed with the test.
func NewCgroup(t testing.TB, name string) *Cgroup {
	t.Helper()
	testenv.RequireRoot(t)
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cgroup{Path: fmt.Sprintf("/procfs-shim-test-%d-%s", os.Getpid(), name), t: t, v2: layout == "v2"}
	if c.v2 {
		c.write(mount+"/cgroup.subtree_control", "+memory +cpu +cpuset")
	}
	c.create()
	return c
}

// RootCgroup is the root of every hierarchy, for processes of tests to be in.
func RootCgroup(t testing.TB) *Cgroup {
	t.Helper()
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	return &Cgroup{Path: "/", t: t, v2: layout == "v2"}
}

// Child makes a cgroup below c.
func (c *Cgroup) Child(name string) *Cgroup {
	c.t.Helper()
	if c.v2 {
		c.write(c.file("memory", "cgroup.subtree_control"), "+memory +cpu +cpuset")
	}
	below := &Cgroup{Path: c.Path + "/" + name, t: c.t, v2: c.v2}
	below.create()
	return below
}

func (c *Cgroup) create() {
	c.t.Helper()
	c.t.Cleanup(c.Remove)
	for _, dir := range c.dirs() {
		if err := os.Mkdir(dir, 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	if c.v2 {
		return
	}
	// A v1 cpuset begins empty, and takes no process then.
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		above, err := os.ReadFile(filepath.Join(filepath.Dir(c.dir("cpuset")), name))
		if err != nil {
			c.t.Fatal(err)
		}
		c.write(c.file("cpuset", name), strings.TrimSpace(string(above)))
	}
}

// Remove removes the cgroup, waiting for its processes to be gone. Removing it
// twice does nothing.
func (c *Cgroup) Remove() {
	c.t.Helper()
	for _, dir := range c.dirs() {
		err := unix.Rmdir(dir)
		for deadline := time.Now().Add(5 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond) // processes leave their cgroup some time after they are reaped
			err = unix.Rmdir(dir)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			c.t.Errorf("remove cgroup %s: %v", dir, err)
		}
	}
}

func (c *Cgroup) dir(controller string) string {
	if c.v2 {
		return filepath.Join(mount, c.Path)
	}
	return filepath.Join(mount, controller, c.Path)
}

func (c *Cgroup) dirs() []string {
	if c.v2 {
		return []string{c.dir("")}
	}
	var dirs []string
	for _, controller := range controllers() {
		dirs = append(dirs, c.dir(controller))
	}
	return dirs
}

func (c *Cgroup) file(controller, name string) string { return filepath.Join(c.dir(controller), name) }

func (c *Cgroup) write(file, text string) {
	c.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		c.t.Fatal(err)
	}
}

// Join moves a process into the cgroup.
func (c *Cgroup) Join(pid int) {
	c.t.Helper()
	for _, file := range c.Procs() {
		c.write(file, strconv.Itoa(pid))
	}
}

// Procs are the files that a process is moved by; nil for no cgroup.
func (c *Cgroup) Procs() []string {
	if c == nil {
		return nil
	}
	var files []string
	for _, dir := range c.dirs() {
		files = append(files, filepath.Join(dir, "cgroup.procs"))
	}
	return files
}

// SetMemory sets the memory limit, in bytes.
func (c *Cgroup) SetMemory(limit int64) {
	c.t.Helper()
	if err := c.TrySetMemory(limit); err != nil {
		c.t.Fatal(err)
	}
}

// TrySetMemory is SetMemory for goroutines other than the test's.
func (c *Cgroup) TrySetMemory(limit int64) error {
	name := "memory.limit_in_bytes"
	if c.v2 {
		name = "memory.max"
	}
	return os.WriteFile(c.file("memory", name), []byte(strconv.FormatInt(limit, 10)), 0)
}

// SetCPUs sets the CPU quota, in CPUs.
func (c *Cgroup) SetCPUs(cpus float64) {
	c.t.Helper()
	if err := c.TrySetCPUs(cpus); err != nil {
		c.t.Fatal(err)
	}
}

// TrySetCPUs is SetCPUs for goroutines other than the test's.
func (c *Cgroup) TrySetCPUs(cpus float64) error {
	quota := strconv.Itoa(int(cpus * 100_000))
	if c.v2 {
		return os.WriteFile(c.file("cpu", "cpu.max"), []byte(quota+" 100000"), 0)
	}
	return os.WriteFile(c.file("cpu", "cpu.cfs_quota_us"), []byte(quota), 0)
}

// SetCPUSet sets the CPUs, as a list.
func (c *Cgroup) SetCPUSet(list string) {
	c.t.Helper()
	c.write(c.file("cpuset", "cpuset.cpus"), list)
}
