// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package comparison

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/engines"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

var update = flag.Bool("update", false, "write docs/COMPARISON.md")

const (
	mib      = 1 << 20
	patience = 20 * time.Second
	// settled is how long the kernel's statistics take: those of memory are
	// flushed each 2 s.
	settled = 3 * time.Second
	// measured is how long a phase is.
	measured = 8 * time.Second
)

// shares are the most there are, and beside the host's own cgroups, so that a loop
// gets its CPU however busy the machine is: who waits for a CPU that others have is
// idle in the books of every cgroup.
const shares = "262144"

// What is done in the container: 64 MiB on the disk past the page cache, 40 MiB in
// it, which is read again so that part of it becomes active, 20 MiB of shmem.
const fill = `dd if=/dev/zero of=/data/direct bs=1M count=64 oflag=direct
dd if=/dev/zero of=/data/cached bs=1M count=40 conv=fsync
dd if=/data/cached of=/dev/null bs=1M count=10; dd if=/data/cached of=/dev/null bs=1M count=10
dd if=/dev/zero of=/dev/shm/shmem bs=1M count=20`

const loop = "sh -c 'while :; do :; done'"

// rig is one container under both.
type rig struct {
	t         *testing.T
	docker    *engines.Docker
	container engines.Running
}

// newRig starts LXCFS, docker, our server and the container.
func newRig(t *testing.T) *rig {
	t.Helper()
	testenv.RequireV1(t)
	testenv.RequireFUSE(t)
	testenv.RequireCPUs(t, 2)
	disk := testenv.RequireDisk(t)
	testenv.NoLeaks(t)
	lxcfs := engines.StartLXCFS(t, "-l", "--enable-cfs")
	docker := engines.StartDocker(t)
	reader, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{
		"--cgroup-parent", "/", "--cpu-shares", shares, "--cpus", "1", "--memory-swap", fmt.Sprint(256 * mib), "--device-write-bps", disk.Path + ":1gb",
		"-v", lxcfs.Dir + ":" + theirRoot + ":ro", "-v", "/proc:" + hostProc + ":ro", "-v", "/sys/fs/cgroup:" + hostCgroup + ":ro",
		"-v", t.TempDir() + ":/data", "-v", reader + ":/reader:ro",
	}
	for _, dir := range []string{"/lib", "/lib64"} { // the reader may be linked with the C library
		if _, err := os.Stat(dir); err == nil {
			flags = append(flags, "-v", dir+":"+dir+":ro")
		}
	}
	r := &rig{t, docker, docker.Run(t, engines.Options{Name: "compared", Memory: 256 * mib, Flags: flags})}
	r.serve()
	return r
}

// serve starts our server and gives the container its files.
func (r *rig) serve() {
	r.t.Helper()
	program := testenv.Binary(r.t)
	dir := r.t.TempDir()
	server := exec.Command(program, "serve", "--state-dir", dir, filepath.Join(dir, "shared"))
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := errors.Join(server.Process.Signal(unix.SIGTERM), server.Wait()); err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
	socket := filepath.Join(dir, "control.sock")
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("serve: no %s after %v", socket, patience)
		}
	}
	if out, err := exec.Command(program, "mount", "--state-dir", dir, "--files", "all", strconv.Itoa(r.container.InitPID)).CombinedOutput(); err != nil {
		r.t.Fatalf("mount: %v\n%s", err, out)
	}
}

func (r *rig) sh(script string) string {
	r.t.Helper()
	return r.docker.Exec(r.t, r.container, "sh", "-c", script)
}

func (r *rig) sample() Sample {
	r.t.Helper()
	var s Sample
	if err := json.Unmarshal([]byte(r.docker.Exec(r.t, r.container, "/reader", partRead)), &s); err != nil {
		r.t.Fatal(err)
	}
	for file, reading := range s.Ours {
		if reading.Error != "" {
			r.t.Fatalf("ours: %s: %s", file, reading.Error)
		}
	}
	return s
}

// phase measures what the container does now.
func (r *rig) phase(name string) Phase {
	r.t.Helper()
	time.Sleep(settled)
	p := Phase{Name: name, From: r.sample()}
	time.Sleep(measured)
	p.To = r.sample()
	return p
}

// neighbour is another container, which keeps all CPUs busy for a time.
func (r *rig) neighbour(d time.Duration) {
	r.t.Helper()
	all := strings.Repeat(burn(d)+" & ", goruntime.NumCPU())
	r.docker.Run(r.t, engines.Options{Name: "neighbour", Command: []string{"sh", "-c", all + "exec sleep 100000"}})
}

func burn(d time.Duration) string { return fmt.Sprintf("timeout %d %s", int(d.Seconds()), loop) }

// setQuota changes what the container may use of each period of 100 ms, in µs.
func (r *rig) setQuota(micros int) {
	r.t.Helper()
	out, err := exec.Command(testenv.RequireTool(r.t, "docker"), "-H", r.docker.Host(), "update", "--cpus", fmt.Sprint(float64(micros)/100_000), r.container.ID).CombinedOutput()
	if err != nil {
		r.t.Fatalf("docker update: %v\n%s", err, out)
	}
}

func TestComparison(t *testing.T) {
	r := newRig(t)
	first := r.sample()
	r.sh(fill)
	time.Sleep(settled)
	filled := r.sample()
	if got := written(filled); got < 64*mib {
		t.Fatalf("blkio counted %v bytes written of 64 MiB: the test's directory isn't on the disk of the throttle rule", got)
	}
	r.neighbour(settled + measured)
	phases := []Phase{r.phase("nothing runs here, a neighbour has all CPUs")}
	pid := r.sh(loop + " >/dev/null 2>&1 </dev/null & echo $!")
	looping := boot()
	phases = append(phases, r.phase("a busy loop under 1 CPU"))
	r.setQuota(20_000)
	phases = append(phases, r.phase("the same loop under 0.2 CPUs"))
	last := phases[len(phases)-1].To
	r.sh("kill " + strings.TrimSpace(pid))

	tables := []Table{
		Cpuinfo(last), CPULists(last, "online"), CPULists(last, "offline"), Stat(first, last, phases), Uptime(last), Loadavg(last, looping),
		Meminfo(filled), Swaps(filled), Diskstats(filled), Slabinfo(filled), Vmstat(filled),
		Pressure(last, "cpu"), Pressure(last, "memory"), Pressure(last, "io"),
	}
	for _, table := range tables {
		for _, row := range table.Wrong() {
			t.Errorf("/%s: %s: ours %s, LXCFS %s, truth %s: %s", table.File, row.Field, row.Ours, row.Theirs, row.Truth, row.Why)
		}
	}
	text := Document(circumstances(t, r), tables)
	t.Logf("\n%s", text)
	if !*update || t.Failed() {
		return
	}
	if err := os.WriteFile(filepath.Join(testenv.ModuleRoot(t), "docs/COMPARISON.md"), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

// written is how many bytes blkio counted as such.
func written(s Sample) float64 {
	total := 0.0
	for _, d := range s.After.devices() {
		total += d.written
	}
	return total
}

func circumstances(t *testing.T, r *rig) Circumstances {
	t.Helper()
	output := func(command ...string) string {
		t.Helper()
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput() // LXCFS says its version on stderr
		if err != nil {
			t.Fatalf("%v: %v", command, err)
		}
		return strings.Trim(strings.TrimSpace(string(out)), `"`)
	}
	root := testenv.ModuleRoot(t)
	system := "unknown"
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(release)) {
		if name, ok := strings.CutPrefix(l, "PRETTY_NAME="); ok {
			system = strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	return Circumstances{
		Date:   time.Now().UTC().Format(time.DateOnly),
		System: system + ", cgroups " + layout,
		Kernel: output("uname", "-sr"),
		CPUs:   fmt.Sprintf("%d, %s", goruntime.NumCPU(), goruntime.GOARCH),
		Docker: output(testenv.RequireTool(t, "docker"), "-H", r.docker.Host(), "version", "-f", "{{.Server.Version}}"),
		LXCFS:  output(testenv.RequireTool(t, "lxcfs"), "--version") + ", `lxcfs -l --enable-cfs`",
		Ours:   "revision " + output("git", "-C", root, "rev-parse", "--short=12", "HEAD") + ", `procfs-shim mount --files all`, policies as they are without a configuration",
		Container: append(append([]string{
			"docker run --memory 256m --memory-swap 256m --cpus 1 --cpu-shares " + shares + " --cgroup-parent / \\",
			"    --device-write-bps DISK:1gb \\",
			"    -v LXCFS:/lxcfs:ro -v /proc:/host/proc:ro -v /sys/fs/cgroup:/host/cgroup:ro …",
		}, strings.Split(fill, "\n")...), burn(settled+measured)+"  # in another container, once for each CPU", loop, "docker update --cpus 0.2 …"),
	}
}
