// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package container_test

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/container"
	"github.com/procfs-shim/procfs-shim/runtime/initproc"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// The test binary is also the program that is executed as init.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == initproc.Command {
		os.Exit(initproc.Main()) //nolint:forbidigo // it is main's task
	}
	if os.Getenv(ownerVariable) != "" {
		os.Exit(ownerMain()) //nolint:forbidigo // likewise
	}
	os.Exit(m.Run()) //nolint:forbidigo // as package testing documents it
}

// setup is one container's surroundings.
type setup struct {
	container.Config
	log bytes.Buffer
}

// prepare gives a config of a busybox container, whose state directory and
// root file system are the test's own.
func prepare(t *testing.T) *setup {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.NoLeaks(t)
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &setup{}
	id := fmt.Sprintf("test-%d-%s", os.Getpid(), filepath.Base(dir))
	s.Config = container.Config{
		ID:         id,
		Spec:       config(busybox(t, filepath.Join(dir, "rootfs"))),
		CgroupPath: "/procfs-shim/" + id,
		Layout:     layout,
		StateDir:   filepath.Join(dir, "state"),
		Proc:       "/proc",
		Log:        slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	t.Cleanup(func() {
		if names, err := os.ReadDir(filepath.Join(s.StateDir, "containers")); err == nil && len(names) > 0 {
			t.Errorf("state left behind: %v", names)
		}
	})
	return s
}

// busybox makes a root file system of busybox alone.
func busybox(t *testing.T, dir string) string {
	t.Helper()
	program := testenv.RequireTool(t, "busybox")
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"bin", "etc", "tmp", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"sh", "cat", "echo", "ls", "grep", "id", "sleep", "true", "env", "stat", "mount", "kill",
		"ps", "hostname", "readlink", "touch", "mkdir", "tty", "awk", "head", "uptime", "wc", "test", "sort", "date", "sync",
	} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// config is a config such as docker makes, less what a test rarely looks at.
func config(root string) *specs.Spec {
	caps := []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
	return &specs.Spec{
		Version:  specs.Version,
		Root:     &specs.Root{Path: root},
		Hostname: "box",
		Process: &specs.Process{
			Args:         []string{"true"},
			Env:          []string{"PATH=/usr/bin:/bin"},
			Cwd:          "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.MountNamespace},
				{Type: specs.PIDNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.NetworkNamespace},
				{Type: specs.CgroupNamespace},
				{Type: specs.TimeNamespace},
			},
			MaskedPaths:   []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware", "/proc/no-such-file"},
			ReadonlyPaths: []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/bus", "/proc/irq"},
		},
	}
}

// withInit puts a PID 1 of ours in front. A test binary that the race detector
// made is dynamically linked, so it needs the host's libraries in the container.
func (s *setup) withInit(t *testing.T) {
	t.Helper()
	s.Init = true
	program, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	if libs, err := program.ImportedLibraries(); err != nil || len(libs) == 0 {
		return
	}
	for _, dir := range []string{"/lib", "/lib64", "/usr/lib"} {
		s.Spec.Mounts = append(s.Spec.Mounts, specs.Mount{Destination: dir, Type: "bind", Source: dir, Options: []string{"rbind", "ro"}})
	}
	// The loader is looked for before anything is mounted.
	if err := os.MkdirAll(s.Spec.Root.Path+"/lib64", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := io.ReadAll(p.Open())
			if err == nil {
				err = os.WriteFile(s.Spec.Root.Path+unix.ByteSliceToString(text), nil, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// shell makes sh -c script the command.
func (s *setup) shell(script string) { s.Spec.Process.Args = []string{"sh", "-c", script} }

// result is how a container ended.
type result struct {
	out, err string
	status   int
}

// onThread runs f on a goroutine whose thread ends with it, as the main
// goroutine's would with the program. The main thread doesn't end, so it is
// held until another one is found.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		goruntime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		defer goruntime.UnlockOSThread()
		onThread(f)
	}()
	<-done
}

// run makes, starts, waits for and deletes the container.
func (s *setup) run(t *testing.T) result {
	t.Helper()
	r, err := s.try(t)
	if err != nil {
		t.Fatalf("%v\nlog: %s", err, s.log.String())
	}
	return r
}

// try is run with the error of Create or Start.
func (s *setup) try(t *testing.T) (result, error) {
	t.Helper()
	var r result
	var failed error
	out, outDone := collect(t, &r.out)
	errs, errDone := collect(t, &r.err)
	s.Stdout, s.Stderr = out, errs
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	onThread(func() {
		var c *container.Container
		if c, failed = container.Create(ctx, s.Config); failed != nil {
			return
		}
		if failed = c.Start(); failed == nil {
			r.status, failed = c.Wait(ctx)
		}
		if err := c.Delete(ctx); err != nil {
			failed = errors.Join(failed, err)
		}
	})
	_ = out.Close()
	_ = errs.Close()
	<-outDone
	<-errDone
	return r, failed
}

// collect gives a pipe to write to and a channel that closes when everything
// that was written is in text.
func collect(t *testing.T, text *string) (*os.File, chan struct{}) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = r.Close() }()
		all, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		*text = string(all)
	}()
	return w, done
}

// started is a container that runs until it is stopped.
type started struct {
	*container.Container
	stdin *os.File
	lines chan string
	stop  func()
}

// start runs the container on a thread of its own until the test stops it or
// ends.
func (s *setup) start(t *testing.T) *started {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.Stdin, s.Stdout, s.Stderr = inR, outW, outW
	st := &started{stdin: inW, lines: make(chan string, 100)}
	ready, quit, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go onThread(func() {
		defer close(ended)
		c, err := container.Create(context.Background(), s.Config)
		if err == nil {
			err = c.Start()
		}
		_ = inR.Close()
		_ = outW.Close()
		st.Container = c
		ready <- err
		<-quit
		if c != nil {
			if err := c.Delete(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	go func() {
		defer close(st.lines)
		defer func() { _ = outR.Close() }()
		all := make([]byte, 0, 4096)
		buf := make([]byte, 4096)
		for {
			n, err := outR.Read(buf)
			all = append(all, buf[:n]...)
			for {
				line, rest, found := bytes.Cut(all, []byte("\n"))
				if !found {
					break
				}
				st.lines <- string(line)
				all = rest
			}
			if err != nil {
				return
			}
		}
	}()
	err = <-ready
	var once sync.Once
	st.stop = func() {
		once.Do(func() {
			close(quit)
			<-ended
			_ = inW.Close()
		})
	}
	t.Cleanup(st.stop)
	if err != nil {
		t.Fatalf("%v\nlog: %s", err, s.log.String())
	}
	return st
}

// line waits for the container's next line of output.
func (st *started) line(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-st.lines:
		if !ok {
			t.Fatal("the container's output ended")
		}
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("the container says nothing")
	}
	return ""
}

// field gives the line of text that starts with key, less the key.
func field(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// resources limits memory to so many bytes.
func resources(memory int64) *specs.LinuxResources {
	return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &memory}}
}

// ownerVariable makes the test binary a program that runs one container.
const ownerVariable = "PROCFS_SHIM_TEST_OWNER"
