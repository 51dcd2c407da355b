// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package container_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/container"
	"github.com/procfs-shim/procfs-shim/runtime/rootfs"
	"github.com/procfs-shim/procfs-shim/runtime/state"
)

// hostLayers is an overlay over the host's own root.
func (s *setup) hostLayers(t *testing.T) {
	t.Helper()
	const base = "/var/lib/procfs-shim-data"
	if err := os.MkdirAll(base, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(base) }) // unless somebody else uses it
	layers := rootfs.Layers(filepath.Join(base, s.ID), "/")
	s.Dirs = []string{filepath.Dir(layers.Upper)}
	if err := layers.Prepare(); err != nil {
		t.Fatal(err)
	}
	s.Overlay = &layers
	s.Spec.Root.Path = layers.Target
}

func TestHostRoot(t *testing.T) {
	s := prepare(t)
	s.hostLayers(t)
	marker := "/etc/procfs-shim-test-" + s.ID
	s.shell(fmt.Sprintf(`echo made >%s && cat %s; rm /etc/passwd && echo gone; [ -e /proc/self ] && [ -c /dev/null ] && echo fresh
		grep -c ' / / ' /proc/self/mountinfo; grep ' / overlay' /proc/self/mounts | wc -l`, marker, marker))
	r := s.run(t)
	if r.out != "made\ngone\nfresh\n1\n1\n" {
		t.Errorf("%+v", r)
	}
	if _, err := os.Lstat(marker); err == nil {
		t.Errorf("%s is on the host", marker)
	}
	if _, err := os.Lstat("/etc/passwd"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.Dirs[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("layers: %v, want gone", err)
	}
}

// viewer gives one file, which stands in for a served one.
type viewer struct {
	source string
	err    error
	wait   chan struct{}
	called chan int
}

func (v viewer) Views(_ context.Context, cg cgroupread.Paths, pid int) ([]attach.Tree, error) {
	if v.called != nil {
		v.called <- pid
	}
	if v.wait != nil {
		<-v.wait
	}
	if v.err != nil {
		return nil, v.err
	}
	where, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	path, ok := cg.Path("memory")
	if !ok || !strings.Contains(string(where), ":"+path+"\n") {
		return nil, fmt.Errorf("init is not in %s but in %s", path, where)
	}
	tree, err := attach.OpenTree(v.source, "/proc/meminfo")
	return []attach.Tree{tree}, err
}

func TestViewsArePlaced(t *testing.T) {
	s := prepare(t)
	file := filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(file, []byte("MemTotal: 1 kB\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	s.Views = viewer{source: file}
	s.shell(`cat /proc/meminfo; grep -c ' /proc/meminfo ro,nosuid,nodev,noexec' /proc/self/mountinfo; echo x >/proc/meminfo || echo ro`)
	if r := s.run(t); r.out != "MemTotal: 1 kB\n1\nro\n" {
		t.Errorf("%+v", r)
	}

	s = prepare(t)
	s.Views = viewer{source: file}
	s.Spec.Linux.MaskedPaths = []string{"/proc/meminfo"}
	s.shell(`wc -c </proc/meminfo`)
	if r := s.run(t); r.out != "0\n" {
		t.Errorf("a masked view: %+v", r)
	}
}

func TestFailedViewsLeaveNothing(t *testing.T) {
	s := prepare(t)
	s.Views = viewer{err: errors.New("no server")}
	if _, err := s.try(t); err == nil || !strings.Contains(err.Error(), "no server") || container.ExitStatus(err) != 125 {
		t.Errorf("error %v", err)
	}
}

// A caller that gives up while init is parked.
func TestCancelled(t *testing.T) {
	s := prepare(t)
	v := viewer{called: make(chan int, 1), wait: make(chan struct{}), source: "/etc/hostname"}
	s.Views = v
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-v.called
		cancel(errors.New("changed my mind"))
		close(v.wait)
	}()
	onThread(func() {
		_, err := container.Create(ctx, s.Config)
		if err == nil || !strings.Contains(err.Error(), "changed my mind") {
			t.Errorf("error %v", err)
		}
	})
}

func TestStatesAndKill(t *testing.T) {
	s := prepare(t)
	s.Spec.Annotations = map[string]string{"a": "b"}
	s.shell(`trap '' TERM; sleep 1000 & echo ready; wait`)
	c := s.start(t)
	c.line(t)
	if got := c.State(); got.Status != specs.StateRunning || got.Pid <= 0 || got.ID != s.ID || got.Annotations["a"] != "b" {
		t.Errorf("state %+v", got)
	}
	store := state.New(s.StateDir, "/proc", slog.New(slog.DiscardHandler))
	if r, err := store.Load(s.ID); err != nil || r.Status != specs.StateRunning || r.Init.PID != c.PID() || r.Cgroup != s.CgroupPath {
		t.Errorf("record %+v, %v", r, err)
	}
	if err := c.Start(); err == nil {
		t.Error("started twice")
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Wait(t.Context()); err != nil || status != 137 {
		t.Errorf("status %d, %v", status, err)
	}
	if got := c.State(); got.Status != specs.StateStopped || got.Pid != 0 {
		t.Errorf("state after kill %+v", got)
	}
	if err := c.Signal(unix.SIGTERM); !errors.Is(err, container.ErrStopped) {
		t.Errorf("signal after the end: %v", err)
	}
	c.stop()
	if err := c.Delete(t.Context()); err != nil {
		t.Errorf("deleted again: %v", err)
	}
}

func TestSameIDTwice(t *testing.T) {
	s := prepare(t)
	s.shell(`echo ready; exec sleep 1000`)
	c := s.start(t)
	c.line(t)
	onThread(func() {
		if _, err := container.Create(t.Context(), s.Config); !errors.Is(err, state.ErrInUse) {
			t.Errorf("same id: %v", err)
		}
	})
	if got := c.State().Status; got != specs.StateRunning {
		t.Errorf("the first one is %s", got)
	}
}

// The host's PID namespace: what the first process leaves must go with the cgroup.
func TestWithoutPIDNamespace(t *testing.T) {
	s := prepare(t)
	s.Spec.Linux.Namespaces = append(s.Spec.Linux.Namespaces[:1:1], s.Spec.Linux.Namespaces[2:]...)
	s.shell(`sleep 1000 >/dev/null 2>&1 & echo $$`)
	r := s.run(t)
	if pid, err := strconv.Atoi(strings.TrimSpace(r.out)); err != nil || pid <= 1 {
		t.Errorf("PID inside %q", r.out)
	}
}

func TestTerminal(t *testing.T) {
	for _, init := range []bool{false, true} {
		s := prepare(t)
		if init {
			s.withInit(t)
		}
		s.Spec.Process.Terminal = true
		s.Spec.Process.ConsoleSize = &specs.Box{Height: 33, Width: 111}
		s.Spec.Process.User.UID = 1000
		s.shell(`tty; stat -c '%F %u' /dev/console; echo x >/dev/tty; stat -f -c %T /dev/console; read line; echo "got $line"; exit 5`)
		onThread(func() {
			c, err := container.Create(t.Context(), s.Config)
			if err != nil {
				t.Errorf("init=%v: %v", init, err)
				return
			}
			master := c.Console()
			defer func() { _ = master.Close() }()
			size, err := unix.IoctlGetWinsize(int(master.Fd()), unix.TIOCGWINSZ)
			if err != nil || size.Row != 33 || size.Col != 111 {
				t.Errorf("window %+v, %v", size, err)
			}
			if err := c.Start(); err != nil {
				t.Error(err)
			}
			if _, err := master.WriteString("hello\n"); err != nil {
				t.Error(err)
			}
			status, err := c.Wait(t.Context())
			if err != nil || status != 5 {
				t.Errorf("status %d, %v", status, err)
			}
			text, err := io.ReadAll(bufio.NewReader(master))
			if err != nil && !errors.Is(err, unix.EIO) { // the other end is closed
				t.Error(err)
			}
			got := strings.ReplaceAll(string(text), "\r\n", "\n")
			for _, want := range []string{"/dev/pts/0\n", "character special file 1000\n", "\nx\n", "devpts\n", "got hello\n"} {
				if !strings.Contains(got, want) {
					t.Errorf("init=%v: %q is not in %q", init, want, got)
				}
			}
			if err := c.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A goroutine that ends without a word takes its container along.
func TestThreadEndKills(t *testing.T) {
	s := prepare(t)
	s.shell(`exec sleep 1000`)
	var c *container.Container
	onThread(func() {
		var err error
		if c, err = container.Create(t.Context(), s.Config); err != nil {
			t.Error(err)
			return
		}
		if err := c.Start(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if status, err := c.Wait(ctx); err != nil || status != 137 {
		t.Errorf("status %d, %v", status, err)
	}
	if err := c.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	base := prepare(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := base.Config
			c.ID = fmt.Sprintf("%s-%d", base.ID, i)
			c.CgroupPath = "/procfs-shim/" + c.ID
			r, w, err := os.Pipe()
			if err != nil {
				t.Error(err)
				return
			}
			c.Stdout = w
			spec := *c.Spec
			process := *spec.Process
			process.Args = []string{"echo", c.ID}
			spec.Process, c.Spec = &process, &spec
			onThread(func() {
				made, err := container.Create(t.Context(), c)
				if err == nil {
					err = made.Start()
				}
				if err == nil {
					_, err = made.Wait(t.Context())
				}
				if err == nil {
					err = made.Delete(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
			_ = w.Close()
			text, err := io.ReadAll(r)
			_ = r.Close()
			if err != nil || string(text) != c.ID+"\n" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	wg.Wait()
}
