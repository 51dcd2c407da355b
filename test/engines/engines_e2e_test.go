// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package engines

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

const mib = 1 << 20

// each runs a test with every engine, and with a finder that knows where its
// state is.
func each(t *testing.T, test func(*testing.T, Engine, *discover.Finder)) {
	testenv.RequireFUSE(t)
	for name, start := range map[string]func(*testing.T) (Engine, discover.Roots){
		"docker": func(t *testing.T) (Engine, discover.Roots) {
			d := StartDocker(t)
			return d, discover.Roots{Docker: []string{d.DataRoot()}}
		},
		"podman with runc": func(t *testing.T) (Engine, discover.Roots) {
			p := StartPodman(t, "runc")
			return p, discover.Roots{Storage: []string{p.Storage()}}
		},
		"podman with crun": func(t *testing.T) (Engine, discover.Roots) {
			p := StartPodman(t, "crun")
			return p, discover.Roots{Storage: []string{p.Storage()}}
		},
		"containerd": func(t *testing.T) (Engine, discover.Roots) {
			c := StartContainerd(t)
			return c, discover.Roots{Containerd: []string{c.State()}}
		},
		"lxc": func(t *testing.T) (Engine, discover.Roots) { return StartLXC(t), discover.Roots{} },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			engine, roots := start(t)
			roots.Proc = "/proc"
			test(t, engine, finder(t, roots))
		})
	}
}

func finder(t *testing.T, roots discover.Roots) *discover.Finder {
	t.Helper()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	return discover.New(layout, roots)
}

func TestDiscoverFindsEveryEngine(t *testing.T) {
	each(t, func(t *testing.T, e Engine, f *discover.Finder) {
		before := ofEngine(t, f, e)
		c := e.Run(t, Options{Name: "findme", Memory: 200 * mib})
		all := ofEngine(t, f, e)
		if len(all) != len(before)+1 {
			t.Errorf("one container was started: before %v, now %v", before, all)
		}
		i := slices.IndexFunc(all, func(d discover.Container) bool { return d.ID == c.ID })
		if i < 0 {
			t.Fatalf("%s %s isn't among %v", e.Name(), c.ID, all)
		}
		got := all[i]
		if got.InitPID != c.InitPID || got.Engine != e.Name() || got.Name != c.Name {
			t.Errorf("found %+v, want init %d, engine %s, name %s", got, c.InitPID, e.Name(), c.Name)
		}
		for _, target := range []string{c.ID, c.Name, fmt.Sprint(c.InitPID), cgroupOf(t, got)} {
			if r, err := f.Resolve(target); err != nil || r.InitPID != c.InitPID {
				t.Errorf("resolve %s: %v, %v", target, r, err)
			}
		}
		if err := f.Same(got); err != nil {
			t.Error(err)
		}
		capture(t, e, c)
		if limit := readLimit(t, got); limit != 200*mib {
			t.Errorf("the cgroup %s has a limit of %d", got.Cgroup, limit)
		}
		e.Remove(t, c)
		if _, err := f.Resolve(c.Name); !errors.Is(err, discover.ErrUnknown) {
			t.Errorf("resolve after the end: %v", err)
		}
		if err := f.Same(got); err == nil {
			t.Error("a container that was removed is the same")
		}
	})
}

// ofEngine lists an engine's containers: the host may run those of others.
func ofEngine(t *testing.T, f *discover.Finder, e Engine) []discover.Container {
	t.Helper()
	all, err := f.All()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(c discover.Container) bool { return c.Engine != e.Name() })
}

// cgroupOf is the container's directory in the hierarchy of its memory limit.
func cgroupOf(t *testing.T, c discover.Container) string {
	t.Helper()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := layout.Dir(c.Cgroup, "memory")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func readLimit(t *testing.T, c discover.Container) uint64 {
	t.Helper()
	cg := openCgroup(t, c)
	defer cg.Close()
	chain, err := cg.Memory()
	if err != nil || len(chain) == 0 {
		t.Fatalf("memory of %s: %v, %v", c.Cgroup, chain, err)
	}
	n, _ := chain[0].Max.Value()
	return n
}

func openCgroup(t *testing.T, c discover.Container) *cgroupread.Cgroup {
	t.Helper()
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	cg, err := layout.Open(c.Cgroup)
	if err != nil {
		t.Fatal(err)
	}
	return cg
}

// A container in the host's PID namespace has no PID 1; one with processes in
// sub-cgroups and nested PID namespaces is one container.
func TestDiscoverUnusualContainers(t *testing.T) {
	testenv.NoLeaks(t)
	d := StartDocker(t)
	f := finder(t, discover.Roots{Proc: "/proc", Docker: []string{d.DataRoot()}})
	admin := []string{"--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"}
	host := d.Run(t, Options{Name: "hostpid", HostPID: true, Flags: admin, Command: []string{"sh", "-c", "unshare -p -f sleep 100000"}})
	parent := d.Run(t, Options{Name: "parent", Flags: []string{"--cgroup-parent", "/procfs-shim-engines"}})
	t.Cleanup(func() {
		d.Remove(t, parent)
		for path := range cgroupDirs([]string{"procfs-shim-engines"}) {
			removeCgroup(t, path)
		}
	})
	nested := d.Run(t, Options{Name: "nested", Flags: admin, Command: []string{
		"sh", "-c",
		"d=/sys/fs/cgroup; [ ! -d $d/memory ] || d=$d/memory; mount -o remount,bind,rw $d; mkdir $d/inner && echo $$ >$d/inner/cgroup.procs; exec sleep 100000",
	}})
	waitFor(t, "the nested container's init is in a sub-cgroup", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", nested.InitPID))
		return err == nil && strings.Contains(string(text), "/inner\n")
	})
	waitFor(t, "a PID 1 inside the container without a PID namespace", func() bool {
		return strings.Contains(d.Exec(t, host, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null | grep NSpid; true"), "\t1\n")
	})
	for _, c := range []Running{host, parent, nested} {
		got, err := f.Resolve(c.Name)
		if err != nil || got.InitPID != c.InitPID || got.ID != c.ID || got.Engine != discover.Docker {
			t.Errorf("%s: %+v, %v; want init %d", c.Name, got, err, c.InitPID)
		}
		if !strings.HasSuffix(cgroupOf(t, got), "/"+c.ID) {
			t.Errorf("%s: cgroup %s", c.Name, got.Cgroup)
		}
	}
	sock := finder(t, discover.Roots{Proc: "/proc"}.WithDockerHost(d.Host()))
	if got, err := sock.Resolve("hostpid"); err != nil || got.ID != host.ID {
		t.Errorf("names from the socket: %+v, %v", got, err)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(settle); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", settle, what)
		}
	}
}

// views serves a bound tree for one container and opens the files to be put
// over its own.
func views(t *testing.T, host *fusefs.Host, c discover.Container) func() []attach.Tree {
	t.Helper()
	tree := fusefs.NewBound(host)
	name, err := tree.Add(fusefs.Container{ID: c.Key(), Cgroup: openCgroup(t, c)})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := fusefs.OpenDevice()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "bound")
	if err != nil {
		t.Fatal(err)
	}
	if err := fusefs.MountDevice(dev, dir); err != nil {
		t.Fatal(err)
	}
	server, err := fusefs.Serve(tree, dev)
	if err != nil {
		t.Fatal(err)
	}
	dev.Close()
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
		tree.Remove(c.Key())
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return func() []attach.Tree {
		t.Helper()
		var trees []attach.Tree
		for _, file := range host.Files() {
			if !file.BindByDefault {
				continue
			}
			tree, err := attach.OpenTree(dir+"/"+name+"/"+file.Path, "/"+file.Path)
			if err != nil {
				for _, open := range trees {
					open.Close() // or the server would be waited for in vain
				}
				t.Fatal(err)
			}
			trees = append(trees, tree)
		}
		return trees
	}
}

func attachAll(t *testing.T, c discover.Container, trees []attach.Tree) []attach.Action {
	t.Helper()
	results, err := attach.Attach(c.InitPID, trees)
	for _, tree := range trees {
		tree.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var actions []attach.Action
	for _, r := range results {
		actions = append(actions, r.Action)
	}
	return slices.Compact(actions)
}

// totalMiB is the second number of `free -m`.
func totalMiB(t *testing.T, free string) string {
	t.Helper()
	for line := range strings.Lines(free) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Mem:" {
			return fields[1]
		}
	}
	t.Fatalf("no Mem: line in %q", free)
	return ""
}

func TestAttachToEveryEngine(t *testing.T) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	host := fusefs.NewHost("/proc", "/sys", layout, time.Now, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	each(t, func(t *testing.T, e Engine, f *discover.Finder) {
		c := e.Run(t, Options{Name: "attached", Memory: 200 * mib})
		found, err := f.Resolve(c.Name)
		if err != nil {
			t.Fatal(err)
		}
		const meminfo, masks = "grep MemTotal /proc/meminfo", "grep -c ' /proc/' /proc/self/mountinfo; wc -c </proc/keys; ls /proc/acpi /sys/firmware"
		sh := func(script string) string { return e.Exec(t, c, "sh", "-c", script) }
		hostTotal, masked := sh(meminfo), sh(masks+" 2>&1; true")
		open := views(t, host, found)
		fresh, err := attach.ReadFreshProc("/proc", c.InitPID)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("a fresh procfs inside: %+v", fresh)

		if got := attachAll(t, found, open()); !slices.Equal(got, []attach.Action{attach.Placed}) {
			t.Errorf("attach: %v", got)
		}
		if got := sh(meminfo); !strings.Contains(got, " 204800 kB") {
			t.Errorf("meminfo inside: %q", got)
		}
		if got := sh("grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online"); got == "" {
			t.Error("nothing of the CPUs")
		}
		if got := attachAll(t, found, open()); !slices.Equal(got, []attach.Action{attach.Unchanged}) {
			t.Errorf("attach again: %v", got)
		}
		files, err := attach.List("/proc", c.InitPID)
		if err != nil || len(files) != len(destinations(host)) {
			t.Errorf("list: %+v, %v", files, err)
		}
		coverage, err := f.Coverage(found, destinations(host))
		if err != nil || coverage != (discover.Coverage{}) {
			t.Errorf("coverage: %+v, %v", coverage, err)
		}
		if _, err := attach.Detach(c.InitPID, nil); err != nil {
			t.Fatal(err)
		}
		if got := sh(meminfo); got != hostTotal {
			t.Errorf("meminfo after detach: %q, before %q", got, hostTotal)
		}
		if got := sh(masks + " 2>&1; true"); got != masked {
			t.Errorf("masks: %q, before %q", got, masked)
		}
	})
}

func destinations(host *fusefs.Host) []string {
	var all []string
	for _, file := range host.Files() {
		if file.BindByDefault {
			all = append(all, "/"+file.Path)
		}
	}
	return all
}
