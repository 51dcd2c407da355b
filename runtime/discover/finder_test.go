// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

var (
	idPod   = strings.Repeat("a", 64)
	idOwn   = strings.Repeat("b", 64)
	idNoone = strings.Repeat("c", 64)
)

// addProcess writes what the finder reads of one process. nspid is its PIDs
// from the host's namespace down.
func addProcess(h *fixture.Host, pid, parent int, cgroup, nspid, mnt string, cmdline ...string) {
	dir := fmt.Sprintf("proc/%d/", pid)
	h.Write(dir+"cgroup", cgroup)
	h.Write(dir+"status", fmt.Sprintf("Name:\tx\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\nNSpid:\t%s\n", pid, pid, parent, strings.ReplaceAll(nspid, " ", "\t")))
	h.Write(dir+"stat", fmt.Sprintf("%d (a) b) S %d 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0\n", pid, parent, pid*10))
	h.Write(dir+"cmdline", strings.Join(append(cmdline, ""), "\x00"))
	link(h, dir+"ns/mnt", "mnt:["+mnt+"]")
}

func link(h *fixture.Host, name, target string) {
	if err := os.MkdirAll(filepath.Dir(h.Path(name)), 0o755); err != nil {
		panic(err)
	}
	if err := os.Symlink(target, h.Path(name)); err != nil {
		panic(err)
	}
}

func synthetic(t *testing.T) (*fixture.Host, *Finder) {
	t.Helper()
	text, err := os.ReadFile("testdata/synthetic-v2-systemd.txtar")
	if err != nil {
		t.Fatal(err)
	}
	h := fixture.Unpack(t, text)
	link(h, "proc/self/ns/mnt", "mnt:[1]")
	a, b := "0::/system.slice/docker-"+idA+".scope", "0::/system.slice/docker-"+idB+".scope"
	addProcess(h, 2001, 1, a+"\n", "2001 1", "2")
	addProcess(h, 2002, 2001, a+"\n", "2002 7", "2")
	addProcess(h, 2003, 2001, a+"/init.scope\n", "2003 8", "3")
	addProcess(h, 2004, 2002, a+"\n", "2004 9 1", "2")
	addProcess(h, 2101, 1, b+"\n", "2101", "4")
	addProcess(h, 2102, 2101, b+"\n", "2102", "4")
	addProcess(h, 2103, 1, b+"\n", "2103 1", "4") // its parent has ended
	addProcess(h, 2200, 1, "0::/machine.slice/libpod-conmon-"+idPod+".scope\n", "2200", "1", "/usr/bin/conmon")
	addProcess(h, 2201, 2200, "0::/machine.slice/libpod-"+idPod+".scope/container\n", "2201 1", "5")
	addProcess(h, 2300, 1, "0::/lxc.monitor.u1\n", "2300", "1", "[lxc monitor] /var/lib/lxc u1")
	addProcess(h, 2301, 2300, "0::/lxc.payload.u1-1\n", "2301 1", "6")
	addProcess(h, 2400, 1, "0::/system.slice/containerd.service\n", "2400", "1", "/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", idOwn)
	addProcess(h, 2401, 2400, "0::/default/redis\n", "2401 1", "7")
	addProcess(h, 2501, 2400, "0::/own/"+idOwn+"\n", "2501 1", "8")
	addProcess(h, 2601, 1, "0::/own/"+idNoone+"\n", "2601", "1")
	addProcess(h, 2701, 1, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-chromium.scope\n", "2701 1", "9")
	addProcess(h, 2801, 1, "0::/system.slice/cron.service\n", "2801", "1")
	addProcess(h, 2802, 2801, "0::/system.slice/cron.service\n", "2802", "1")
	h.Write("proc/2802/status", "Name:\tx\nState:\tZ (zombie)\nTgid:\t2802\nPPid:\t2801\n")
	addProcess(h, 2901, 1, "0::/procfs-shim/box\n", "2901 1", "10")
	layout, err := cgroupread.Detect(h.Proc)
	if err != nil {
		t.Fatal(err)
	}
	return h, New(layout, Roots{
		Proc:       h.Proc,
		Docker:     []string{h.Path("var/lib/docker")},
		Storage:    []string{h.Path("var/lib/containers/storage")},
		Containerd: []string{h.Path("run/containerd")},
	})
}

func TestAll(t *testing.T) {
	_, f := synthetic(t)
	all, err := f.All()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range all {
		got = append(got, fmt.Sprintf("%s init=%d pids=%d cgroup=%s", c, c.InitPID, len(c.PIDs), c.Cgroup))
		if c.StartTime != uint64(c.InitPID)*10 {
			t.Errorf("%s: started at %d", c, c.StartTime)
		}
	}
	want := []string{
		"containerd redis init=2401 pids=1 cgroup=/default/redis",
		"docker bbbbbbbbbbbb init=2501 pids=1 cgroup=/own/" + idOwn,
		"docker fedcba098765 init=2101 pids=3 cgroup=/system.slice/docker-" + idB + ".scope",
		"docker 1234567890ab (web) init=2001 pids=4 cgroup=/system.slice/docker-" + idA + ".scope",
		"lxc u1-1 (u1) init=2301 pids=1 cgroup=/lxc.payload.u1-1",
		"podman aaaaaaaaaaaa (web) init=2201 pids=1 cgroup=/machine.slice/libpod-" + idPod + ".scope",
		"procfs-shim box init=2901 pids=1 cgroup=/procfs-shim/box",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	keys := map[string]bool{}
	for _, c := range all {
		if k := c.Key(); keys[k] || strings.ContainsAny(k, "/ ") {
			t.Errorf("key %q of %s", k, c)
		}
		keys[c.Key()] = true
	}
}

func TestResolve(t *testing.T) {
	h, f := synthetic(t)
	for target, want := range map[string]int{
		"2001": 2001, "2003": 2001, "2102": 2101, "2401": 2401, // any process of a container
		"2801": 2801, "2601": 2601, "1": 0, // a plain process; one that can't be read
		idA: 2001, idA[:11]: 2001, "1234": 0, "fedc": 2101, "u1": 2301, "u1-1": 2301, "redis": 2401, "box": 2901,
		"/system.slice/docker-" + idA + ".scope":           2001,
		"system.slice/docker-" + idA + ".scope/init.scope": 2001,
		h.Path("sys/fs/cgroup/default/redis"):              2401,
		"/default/redis/":                                  2401,
		"/system.slice/cron.service":                       2801,
		"bbb":                                              0, "123": 0, "": 0, "none": 0, "1234x": 0, "99999": 0, "0": 0, "/": 0, "/none": 0, "/default": 0, "../x/..": 0,
		"web": 0, "99999999999999999999": 0,
	} {
		c, err := f.Resolve(target)
		if want == 0 && err == nil || want != 0 && (err != nil || c.InitPID != want) {
			t.Errorf("%q: %s with init %d, %v; want %d", target, c, c.InitPID, err, want)
		}
	}
	_, err := f.Resolve("web")
	if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "docker 1234567890ab") || !strings.Contains(err.Error(), "podman aaaaaaaaaaaa") {
		t.Errorf("two of one name: %v", err)
	}
	for target, want := range map[string]error{"none": ErrUnknown, "/none": ErrUnknown, "99999": ErrUnknown, "/system.slice": ErrAmbiguous} {
		if _, err := f.Resolve(target); !errors.Is(err, want) {
			t.Errorf("%q: %v; want %v", target, err, want)
		}
	}
	if _, err := f.Resolve("none"); !strings.Contains(err.Error(), "lxc u1-1 (u1)") {
		t.Errorf("doesn't list what was found: %v", err)
	}
	plain, err := f.Resolve("2801")
	if err != nil || plain.ID != "pid-2801" || plain.Engine != "" || plain.Key() != "pid-2801" || plain.Cgroup.String() != "/system.slice/cron.service" {
		t.Errorf("a plain process: %+v, %v", plain, err)
	}
}

func TestSame(t *testing.T) {
	h, f := synthetic(t)
	c, err := f.Resolve("redis")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Same(c); err != nil {
		t.Error(err)
	}
	moved := c
	moved.InitPID, moved.StartTime = 2801, 28010
	if f.Same(moved) == nil {
		t.Error("a process in another cgroup is the same")
	}
	moved.InitPID = 2401
	if f.Same(moved) == nil {
		t.Error("a process that was started at another time is the same")
	}
	h.Remove("proc/2401")
	if f.Same(c) == nil {
		t.Error("a process that ended is the same")
	}
}

// A containerd with state directories of its own is known by its shims.
func TestContainerdBesideTheDefault(t *testing.T) {
	h, f := synthetic(t)
	addProcess(h, 3000, 1, "0::/system.slice/own.service\n", "3000", "1", "containerd-shim-runc-v2", "-namespace", "prod", "-id", "db")
	h.Write("proc/3000/comm", "containerd-shim\n")
	link(h, "proc/3000/cwd", h.Path("srv/state/io.containerd.runtime.v2.task/prod/db"))
	h.Write("srv/state/io.containerd.runtime.v2.task/prod/db/init.pid", "3001")
	addProcess(h, 3001, 3000, "0::/prod/db\n", "3001 1", "11")
	c, err := f.Resolve("db")
	if err != nil || c.Engine != Containerd || c.Namespace != "prod" || c.InitPID != 3001 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestDockerNamesFromTheSocket(t *testing.T) {
	_, f := synthetic(t)
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 1000)); err == nil {
			fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[{\"Id\":%q,\"Names\":[\"/db\"]},{\"Id\":\"x\",\"Names\":[\"/a\\u001b[2J\"]}]", idB)
		}
	}()
	f.roots.DockerSockets = []string{filepath.Join(t.TempDir(), "none"), socket}
	c, err := f.Resolve("db")
	if err != nil || c.ID != idB {
		t.Errorf("%s, %v", c, err)
	}
}

func TestCoverage(t *testing.T) {
	h, f := synthetic(t)
	const mounts = "50 1 0:9 / / rw - overlay o rw\n51 50 0:21 / /proc rw - proc proc rw\n"
	const ours = "52 51 0:60 /x/proc/meminfo /proc/meminfo ro - fuse.procfs-shim procfs-shim ro\n"
	h.Write("proc/2001/mountinfo", mounts+ours)
	h.Write("proc/2002/mountinfo", mounts+ours)
	h.Write("proc/2003/mountinfo", strings.ReplaceAll(mounts, "5", "6"))
	for pid, fds := range map[int]map[string]string{
		2001: {"0": "/dev/null", "3": "/proc/meminfo", "4": "/proc/meminfo", "5": "/proc/stat"},
		2003: {"3": "/proc/meminfo"},
	} {
		for fd, target := range fds {
			link(h, fmt.Sprintf("proc/%d/fd/%s", pid, fd), target)
		}
	}
	h.Write("proc/2001/fdinfo/3", "pos:\t0\nflags:\t0100000\nmnt_id:\t51\n") // opened before
	h.Write("proc/2001/fdinfo/4", "pos:\t0\nflags:\t0100000\nmnt_id:\t52\n") // ours
	h.Write("proc/2003/fdinfo/3", "mnt_id:\t61\n")
	c, err := f.Resolve(idA)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Coverage(c, []string{"/proc/meminfo"})
	if want := (Coverage{Elsewhere: 1, HeldOpen: 2}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	h.Remove("proc/2001")
	if _, err := f.Coverage(c, nil); !errors.Is(err, attach.ErrGone) {
		t.Errorf("init has ended: %v", err)
	}
}
