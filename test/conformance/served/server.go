// SPDX-License-Identifier: Apache-2.0

package served

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// A Server is a process that mounts and serves all trees.
type Server struct {
	Shared string // the mountpoint of the shared tree
	Bound  string // … of the bound tree
	Static string // … of its static files

	t testing.TB
	p *peer
}

// hang is how long a test may take before its server is killed.
func hang() time.Duration {
	if testenv.InGuest() {
		return 10 * time.Minute // emulated CPUs
	}
	return 4 * time.Minute
}

// stopTime is how long a server may take to end.
const stopTime = 10 * time.Second

// Start starts a server, which ends with the test. A reader that waits for
// longer than [hang] over the test is freed by the end of the server, and the
// test fails.
func Start(t testing.TB) *Server { return startKeeping(t, true) }

// StartLive is Start, with static files as on a kernel that can't keep them.
func StartLive(t testing.TB) *Server { return startKeeping(t, false) }

func startKeeping(t testing.TB, keep bool) *Server {
	t.Helper()
	testenv.RequireFUSE(t)
	leaveNothing(t)
	dir := t.TempDir()
	s := &Server{
		Shared: filepath.Join(dir, "shared"), Bound: filepath.Join(dir, "bound"), Static: filepath.Join(dir, "static"), t: t,
	}
	for _, at := range s.mountpoints() {
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.p = start(t, again(roleServer, append(s.mountpoints(), strconv.FormatBool(keep))...))
	if _, err := s.p.ask(message{Op: "ready"}); err != nil {
		s.p.stop(true)
		t.Fatal(err)
	}
	timer := time.AfterFunc(hang(), func() {
		t.Errorf("the test takes longer than %v; its server is killed", hang())
		_ = s.p.cmd.Process.Kill()
	})
	t.Cleanup(func() {
		timer.Stop()
		s.stop()
	})
	return s
}

func (s *Server) mountpoints() []string { return []string{s.Shared, s.Bound, s.Static} }

// leaveNothing fails the test when it ends with more mounts, descriptors or
// goroutines than it has now. Others' processes and cgroups may come and go
// meanwhile: those of the test are looked after where they are made.
func leaveNothing(t testing.TB) {
	t.Helper()
	before, err := testenv.Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leaks, err := before.Since()
		if err != nil {
			t.Error(err)
		}
		for _, leak := range leaks {
			if leak.Kind == testenv.Mounts || leak.Kind == testenv.Descriptors || leak.Kind == testenv.Goroutines {
				t.Errorf("left behind: %v", leak)
			}
		}
	})
}

// stop unmounts and ends the server. One that doesn't end waits for itself:
// then its connections are aborted.
func (s *Server) stop() {
	var connections []int
	for _, at := range s.mountpoints() {
		connection, err := testenv.Connection(at)
		if err != nil {
			continue // unmounted by the test
		}
		connections = append(connections, connection)
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			s.t.Errorf("unmount %s: %v", at, err)
		}
	}
	timer := time.AfterFunc(stopTime, func() {
		for _, connection := range connections {
			s.t.Errorf("the server doesn't end; abort connection %d: %v", connection, testenv.AbortFUSE(connection))
		}
		_ = s.p.cmd.Process.Kill()
	})
	defer timer.Stop()
	s.p.stop(false)
}

// Kill kills the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() { s.p.stop(true) }

// Add registers the cgroup and returns the directory of its view.
func (s *Server) Add(id string, cg *Cgroup) string {
	s.t.Helper()
	reply, err := s.p.ask(message{Op: "add", ID: id, Path: cg.Path})
	if err != nil {
		s.t.Fatal(err)
	}
	return filepath.Join(s.Bound, reply.Path)
}

// StaticDir is the directory of a registered container's static files.
func (s *Server) StaticDir(id string) string { return filepath.Join(s.Static, id) }

// Remove takes a container out of the bound tree.
func (s *Server) Remove(id string) {
	s.t.Helper()
	if _, err := s.p.ask(message{Op: "remove", ID: id}); err != nil {
		s.t.Fatal(err)
	}
}

// Errors returns the counted failures of a container of the bound tree; "" is
// the shared tree.
func (s *Server) Errors(id string) map[string]uint64 {
	s.t.Helper()
	reply, err := s.p.ask(message{Op: "errors", ID: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return reply.Counts
}

// Usage is what a server holds.
type Usage struct {
	Descriptors, Threads int
	RSS                  int64 // bytes
}

// Usage looks at the server process.
func (s *Server) Usage() Usage {
	s.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", s.p.cmd.Process.Pid)
	descriptors, err := os.ReadDir(proc + "fd")
	if err != nil {
		s.t.Fatal(err)
	}
	threads, err := os.ReadDir(proc + "task")
	if err != nil {
		s.t.Fatal(err)
	}
	statm, err := os.ReadFile(proc + "statm")
	if err != nil {
		s.t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		s.t.Fatal(err)
	}
	return Usage{len(descriptors), len(threads), resident * int64(os.Getpagesize())}
}

// serve is the server process.
func serve(args []string) (func(message) (message, error), error) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	host := fusefs.NewHost("/proc", "/sys", layout, time.Now, log)
	bound := fusefs.NewBound(host)
	shared := fusefs.NewShared(host, locate.New("/proc", layout))
	if len(args) != 4 {
		return nil, errors.New("want three mountpoints, and whether the kernel is to keep static files")
	}
	static := fusefs.NewStatic(bound)
	if args[3] == strconv.FormatBool(false) {
		static = fusefs.NewStaticLive(bound)
	}
	for i, tree := range []fusefs.Tree{shared, bound, static} {
		if err := mountAndServe(tree, args[i], i == 0); err != nil {
			return nil, err
		}
	}
	return func(request message) (message, error) {
		switch request.Op {
		case "ready":
			return message{}, nil
		case "add":
			return addTo(bound, layout, request)
		case "remove":
			bound.Remove(request.ID)
			return message{}, nil
		case "errors":
			counts := bound.Errors(request.ID)
			if request.ID == "" {
				counts = shared.Errors()
			}
			reply := message{Counts: map[string]uint64{}}
			for cause, n := range counts {
				reply.Counts[string(cause)] = n
			}
			return reply, nil
		}
		return message{}, fmt.Errorf("unknown request %q", request.Op)
	}, nil
}

func addTo(bound *fusefs.Bound, layout *cgroupread.Layout, request message) (message, error) {
	paths, err := layout.OfDir(request.Path)
	if err != nil {
		return message{}, err
	}
	cg, err := layout.Open(paths)
	if err != nil {
		return message{}, err
	}
	dir, err := bound.Add(fusefs.Container{ID: request.ID, Cgroup: cg})
	if err != nil {
		return message{}, errors.Join(err, cg.Close())
	}
	return message{Path: dir}, nil
}

// mountAndServe does one before the other: both orders must work.
func mountAndServe(tree fusefs.Tree, target string, mountFirst bool) error {
	dev, err := fusefs.OpenDevice()
	if err != nil {
		return err
	}
	if mountFirst {
		if err := fusefs.MountDevice(dev, target); err != nil {
			return err
		}
	}
	server, err := fusefs.Serve(tree, dev)
	if err != nil {
		return err
	}
	if !mountFirst {
		if err := fusefs.MountDevice(dev, target); err != nil {
			return err
		}
	}
	<-server.Ready()
	return dev.Close()
}
