// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package attach

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

func replace(c *container, trees []Tree) ([]Result, error) {
	p, err := Open("/proc", c.pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Replace(c.t.Context(), trees)
}

func mustReplace(t *testing.T, c *container, trees []Tree, want string) {
	t.Helper()
	got, err := replace(c, trees)
	if err != nil {
		t.Fatal(err)
	}
	if actions(got) != want {
		t.Fatalf("replace: %s; want %s", actions(got), want)
	}
}

// treeAt opens one file of the server for any destination.
func (s *server) treeAt(t *testing.T, name, destination string) Tree {
	t.Helper()
	tree, err := OpenTree(s.dir+"/A/"+name, destination)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// count gives how many mounts of a type lie where a container's files are.
func (c *container) count(fsType string) int {
	c.t.Helper()
	table, err := readTable("/proc", c.pid)
	if err != nil {
		c.t.Fatal(err)
	}
	n := 0
	for _, m := range table {
		if m.FSType == fsType && (checkDestination(m.Mountpoint) == nil || m.Mountpoint == LXCFSTree) {
			n++
		}
	}
	return n
}

// sortedMounts is mounts for where some were taken away and put back: the
// kernel lists them in the order in which they were made.
func (c *container) sortedMounts() string {
	c.t.Helper()
	lines := strings.SplitAfter(c.mounts(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// fates are what can have become of LXCFS when its place is taken.
func fates() map[string]func(*server) {
	return map[string]func(*server){
		"alive": func(*server) {},
		"dead":  func(s *server) { s.stop() },
		"hung":  func(s *server) { s.silence() },
	}
}

func TestReplaceFiles(t *testing.T) {
	setup(t)
	for name, fate := range fates() {
		for kind, flags := range map[string]uintptr{"plain": 0, "user namespace": unix.CLONE_NEWUSER} {
			t.Run(name+", "+kind, func(t *testing.T) {
				lxcfs, s := serve(t, lxcfsType), serve(t, FSType)
				c := startContainer(t, flags, "")
				kernels := c.mounts()
				// An engine binds them inside, where they aren't locked as a copied mount is.
				for _, f := range []string{"meminfo", "cpuinfo", "cpuinfo", "stat"} {
					if out, err := c.in("mount", "--bind", lxcfs.dir+"/A/"+f, "/proc/"+f); err != nil {
						t.Fatal(err, out)
					}
				}
				fate(lxcfs)
				trees := s.trees(t, "meminfo", "cpuinfo")
				mustReplace(t, c, trees, "meminfo replaced, cpuinfo replaced")
				if got := c.read("/proc/meminfo"); got != s.want("meminfo") {
					t.Errorf("meminfo: %q", got)
				}
				if c.count(FSType) != 2 || c.count(lxcfsType) != 1 {
					t.Errorf("mounts: %s", c.mounts())
				}
				mustReplace(t, c, s.trees(t, "meminfo", "cpuinfo", "stat"), "meminfo unchanged, cpuinfo unchanged, stat replaced")
				mustReplace(t, c, s.trees(t, "meminfo", "cpuinfo", "stat"), "meminfo unchanged, cpuinfo unchanged, stat unchanged")
				mustDetach(t, c, nil, "meminfo removed, cpuinfo removed, stat removed")
				if got := c.mounts(); got != kernels {
					t.Errorf("left: %s", got)
				}
			})
		}
	}
}

// LXC's hook covers directories, with files of LXCFS's in them where an engine
// bound those too.
func TestReplaceDirectories(t *testing.T) {
	setup(t)
	for name, fate := range fates() {
		t.Run(name, func(t *testing.T) {
			lxcfs, s := serve(t, lxcfsType), serve(t, FSType)
			c := startContainer(t, 0, "")
			kernels := c.mounts()
			const cpu = "/sys/devices/system/cpu"
			for _, bind := range [][2]string{{"/A", cpu + "/cpu0"}, {"/A/stat", cpu + "/possible"}, {"/A", cpu}, {"/A/stat", cpu + "/meminfo"}, {"/A", cpu}, {"/A", "/proc/pressure"}} {
				if out, err := c.in("mount", "--bind", lxcfs.dir+bind[0], bind[1]); err != nil {
					t.Fatal(err, out)
				}
			}
			fate(lxcfs)
			before := c.sortedMounts()
			online := func() Tree { return s.treeAt(t, "cpuinfo", cpu+"/online") }
			pressure := s.treeAt(t, "stat", "/proc/pressure/cpu")
			if _, err := Attach(c.pid, []Tree{online()}); !errors.Is(err, ErrCovered) || !strings.Contains(err.Error(), "--replace-lxcfs") {
				t.Errorf("attach into LXCFS's directory: %v", err)
			}
			// What fails last leaves the directories as they were, with what lay in them.
			version, err := os.Open("/proc/version")
			if err != nil {
				t.Fatal(err)
			}
			defer version.Close()
			broken := Tree{File: version, Destination: "/proc/version"}
			if got, err := replace(c, []Tree{online(), broken}); err == nil {
				t.Errorf("a broken tree: %s", actions(got))
			}
			if got := c.sortedMounts(); got != before {
				t.Errorf("not undone: before\n%s\nafter\n%s", before, got)
			}
			mustReplace(t, c, []Tree{online(), pressure},
				"pressure removed, "+cpu+" removed, "+cpu+"/cpu0 removed, "+cpu+"/possible removed, "+cpu+"/online placed, pressure/cpu placed")
			if got := c.read(cpu + "/online"); got != s.want("cpuinfo") {
				t.Errorf("online: %q", got)
			}
			if got := c.read(cpu + "/possible"); got == "" {
				t.Error("the kernel's own directory didn't come back")
			}
			if c.count(lxcfsType) != 0 {
				t.Errorf("left: %s", c.mounts())
			}
			mustReplace(t, c, []Tree{online()}, cpu+"/online unchanged")
			mustDetach(t, c, nil, "pressure/cpu removed, "+cpu+"/online removed")
			if got := c.mounts(); got != kernels {
				t.Errorf("left: %s", got)
			}
		})
	}
}

func TestReplaceWholeTree(t *testing.T) {
	setup(t)
	lxcfs, shared, s := serve(t, lxcfsType), serve(t, FSType), serve(t, FSType)
	c := startContainer(t, 0, "mount -t tmpfs t /var/lib; mkdir "+LXCFSTree)
	whole := func(s *server) Tree {
		t.Helper()
		tree, err := OpenWhole(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tree.Close() })
		return tree
	}
	if got, err := replace(c, []Tree{whole(shared)}); !errors.Is(err, ErrCovered) {
		t.Errorf("where nothing is: %s, %v", actions(got), err)
	}
	if out, err := c.in("mount", "--bind", lxcfs.dir, LXCFSTree); err != nil {
		t.Fatal(err, out)
	}
	lxcfs.stop()
	mustReplace(t, c, append(s.trees(t, "meminfo"), whole(shared)), "meminfo placed, "+LXCFSTree+" replaced")
	if got := c.read(LXCFSTree + "/A/stat"); got != shared.want("stat") {
		t.Errorf("in the tree: %q", got)
	}
	mustReplace(t, c, []Tree{whole(shared)}, LXCFSTree+" unchanged")
	shared.stop()
	next := serve(t, FSType)
	mustReplace(t, c, []Tree{whole(next)}, LXCFSTree+" replaced")
	if c.count(FSType) != 2 || c.count(lxcfsType) != 0 {
		t.Errorf("mounts: %s", c.mounts())
	}
	mustDetach(t, c, nil, "meminfo removed")
}

// What isn't LXCFS's, or lies upon it, or shows up on the host, stays.
func TestReplaceTouchesLXCFSOnly(t *testing.T) {
	setup(t)
	lxcfs, shared, s := serve(t, lxcfsType), serve(t, FSType), serve(t, FSType)
	cpu := "/sys/devices/system/cpu"
	for name, script := range map[string]string{
		"a mask upon LXCFS's":         "mount --bind $L/A/meminfo /proc/meminfo; mount --bind /dev/null /proc/meminfo",
		"a foreign file in LXCFS's":   "mount --bind $L/A " + cpu + "; mount --bind /dev/null " + cpu + "/stat",
		"a directory upon LXCFS's":    "mount --bind $L/A " + cpu + "; mount --bind /etc " + cpu,
		"LXCFS's upon all of proc":    "mount --bind $L /proc",
		"a mask, and LXCFS's another": "mount --bind $L/A/stat /proc/stat; mount --bind /dev/null /proc/meminfo",
	} {
		t.Run(name, func(t *testing.T) {
			c := startContainer(t, 0, strings.ReplaceAll(script, "$L", lxcfs.dir))
			before := c.sortedMounts()
			trees := append(s.trees(t, "stat", "meminfo"), s.treeAt(t, "stat", cpu+"/online"))
			if got, err := replace(c, trees); !errors.Is(err, ErrCovered) {
				t.Errorf("replaced: %s, %v", actions(got), err)
			}
			if got := c.sortedMounts(); got != before {
				t.Errorf("the mounts changed to\n%s", got)
			}
		})
	}
	// A mask below LXCFS's keeps its place below ours, and an engine's bind of
	// the shared tree is covered as Attach does it.
	c := startContainer(t, 0, "mount --bind /dev/null /proc/meminfo; mount --bind "+lxcfs.dir+"/A/meminfo /proc/meminfo; mount --bind "+shared.dir+"/proc/meminfo /proc/stat")
	mustReplace(t, c, s.trees(t, "meminfo", "stat"), "meminfo replaced, stat placed")
	mustDetach(t, c, nil, "meminfo removed, stat removed")
	if got := c.read("/proc/meminfo"); got != "" {
		t.Errorf("the mask: %q", got)
	}
	if got := c.read("/proc/stat"); got != shared.want("meminfo") {
		t.Errorf("the engine's own bind mount: %q", got)
	}
}

// Where Attach had put ours upon LXCFS's, only ours is left.
func TestReplaceBelowOurs(t *testing.T) {
	setup(t)
	lxcfs, s := serve(t, lxcfsType), serve(t, FSType)
	c := startContainer(t, 0, "")
	kernels := c.mounts()
	if out, err := c.in("mount", "--bind", lxcfs.dir+"/A/meminfo", "/proc/meminfo"); err != nil {
		t.Fatal(err, out)
	}
	mustAttach(t, c, s.trees(t, "meminfo"), "meminfo placed")
	lxcfs.stop()
	mustReplace(t, c, s.trees(t, "meminfo"), "meminfo replaced")
	if c.count(FSType) != 1 || c.count(lxcfsType) != 0 {
		t.Errorf("mounts: %s", c.mounts())
	}
	mustDetach(t, c, nil, "meminfo removed")
	if got := c.mounts(); got != kernels {
		t.Errorf("left: %s", got)
	}
}

// A reader sees LXCFS's or ours, never the kernel's own and never nothing.
func TestReplaceLXCFSShowsNothingBetween(t *testing.T) {
	setup(t)
	testenv.RequireKernel(t, 6, 5, "MOVE_MOUNT_BENEATH")
	lxcfs, s := serve(t, lxcfsType), serve(t, FSType)
	c := startContainer(t, 0, "")
	stop, seen := make(chan struct{}), make(chan string, 1)
	bind := func() {
		if out, err := c.in("mount", "--bind", lxcfs.dir+"/A/meminfo", "/proc/meminfo"); err != nil {
			t.Fatal(err, out)
		}
	}
	bind()
	go func() {
		defer close(seen)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := c.read("/proc/meminfo"); got != lxcfs.want("meminfo") && got != s.want("meminfo") {
				seen <- got
				return
			}
		}
	}()
	for range 30 {
		mustReplace(t, c, s.trees(t, "meminfo"), "meminfo replaced")
		bind()
	}
	close(stop)
	if got, bad := <-seen; bad {
		t.Errorf("a reader saw %.60q", got)
	}
}

// Where systemd runs inside, the container's mounts are shared among its own
// services, and what is mounted and unmounted reaches those.
func TestReplaceReachesServices(t *testing.T) {
	setup(t)
	lxcfs, s := serve(t, lxcfsType), serve(t, FSType)
	c := startContainer(t, 0, "mount --bind "+lxcfs.dir+"/A/meminfo /proc/meminfo; mount --make-rshared /")
	service := exec.Command("nsenter", "-t", strconv.Itoa(c.pid), "-m", "-p", "--",
		"unshare", "--mount", "--propagation", "slave", "sh", "-c", "echo ready; read line; cat /proc/meminfo")
	in, err := service.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	if line, err := answers.ReadString('\n'); line != "ready\n" {
		t.Errorf("the service: %q, %v", line, err)
	}
	lxcfs.stop()
	mustReplace(t, c, s.trees(t, "meminfo"), "meminfo replaced")
	if c.count(FSType) != 1 || c.count(lxcfsType) != 0 {
		t.Errorf("mounts: %s", c.mounts())
	}
	in.Close()
	if line, err := answers.ReadString('\n'); line != s.want("meminfo") {
		t.Errorf("the service reads %q, %v", line, err)
	}
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
}
