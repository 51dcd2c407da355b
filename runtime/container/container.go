// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	goruntime "runtime"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
	"github.com/procfs-shim/procfs-shim/runtime/initproc"
	"github.com/procfs-shim/procfs-shim/runtime/initproc/spawn"
	"github.com/procfs-shim/procfs-shim/runtime/state"
)

// Container is one container that this process owns. Its methods may be called
// from any goroutine; Create, Start and Delete one after the other.
type Container struct {
	config Config
	entry  *state.Entry
	cgroup *cgroup.Cgroup
	conn   *initproc.Conn
	// console is the terminal's master; nil without one.
	console *os.File
	init    *spawn.Process
	// ended is closed when init has ended and been reaped; exit is set before.
	ended chan struct{}
	exit  unix.WaitStatus

	mu sync.Mutex
	// status is creating, created or running; stopped follows from ended.
	status specs.ContainerState
}

// Create makes the container up to the point where nothing but the execution of
// its command is missing. On an error everything is undone, what could not be
// undone is part of the error, and ExitStatus tells whose fault it was. See the
// package comment on the thread. ctx ends the making, not the container.
func Create(ctx context.Context, config Config) (*Container, error) {
	checked, err := config.check()
	if err != nil {
		if config.Entry == nil {
			return nil, err
		}
		c := &Container{config: config, entry: config.Entry}
		return nil, errors.Join(err, c.undo())
	}
	goruntime.LockOSThread()
	c := &Container{config: checked, entry: checked.Entry, status: specs.StateCreating, ended: make(chan struct{})}
	if err := c.create(ctx); err != nil {
		if undone := c.undo(); undone != nil {
			err = fmt.Errorf("%w; and it could not be undone: %w", err, undone)
		}
		return nil, err
	}
	return c, nil
}

func (c *Container) create(ctx context.Context) error {
	if err := c.claim(ctx); err != nil {
		return err
	}
	var err error
	if c.cgroup, err = cgroup.Create(c.config.Layout, c.config.CgroupPath, c.config.Spec.Linux.Resources); err != nil {
		return err
	}
	if err := c.startInit(); err != nil {
		return err
	}
	// From here on init may be what we wait for; ending it ends the wait.
	stop := context.AfterFunc(ctx, func() { _ = c.init.Signal(unix.SIGKILL) })
	err = c.setUp(ctx)
	if !stop() {
		return fmt.Errorf("create container %s: %w", c.config.ID, context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	return c.setStatus(specs.StateCreated)
}

// claim makes the entry of the state directory, or completes the caller's, so
// that everything that follows is named there before it exists.
func (c *Container) claim(ctx context.Context) error {
	complete := func(r *state.Record) {
		r.Status = specs.StateCreating
		r.Cgroup = c.config.CgroupPath
		r.Bundle = c.config.Bundle
		r.Rootfs = c.config.Spec.Root.Path
		r.Command = c.config.Spec.Process.Args
		r.Annotations = c.config.Spec.Annotations
		r.Dirs = append(r.Dirs, c.config.Dirs...)
		if r.Created.IsZero() {
			r.Created = c.config.Clock()
		}
	}
	if c.entry != nil {
		return c.entry.Update(complete)
	}
	record := state.Record{ID: c.config.ID}
	complete(&record)
	entry, err := state.New(c.config.StateDir, c.config.Proc, c.config.Log).Claim(ctx, record)
	c.entry = entry
	return err
}

// startInit clones init, which parks, and moves it into the cgroup.
func (c *Container) startInit() error {
	spec := c.config.Spec
	program, err := sealedProgram(c.config.Proc)
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }()
	if c.config.Init {
		roots := []string{spec.Root.Path}
		if c.config.Overlay != nil {
			roots = c.config.Overlay.Lower
		}
		if err := canReap(program, roots...); err != nil {
			return err
		}
	}
	streams, err := standardStreams(c.config)
	if err != nil {
		return err
	}
	defer closeFiles(streams.own)
	conn, theirs, err := initproc.Pair()
	if err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	defer func() { _ = theirs.Close() }()
	c.conn = conn
	directory, err := c.cgroup.FD() // nil on v1
	if err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	if directory != nil {
		defer func() { _ = directory.Close() }()
	}
	if hasNamespace(spec, specs.TimeNamespace) {
		if err := newTimeNamespace(c.config.Proc, spec.Linux.TimeOffsets); err != nil {
			return err
		}
	}
	c.init, err = spawn.Start(spawn.Command{
		Executable:  program,
		Args:        []string{memfdName, initproc.Command},
		Files:       append(streams.files, theirs),
		Namespaces:  namespaceFlags(spec),
		Cgroup:      directory,
		Session:     true,
		ParentDeath: unix.SIGKILL,
	})
	if err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	go c.reap()
	process, err := state.FindProcess(c.config.Proc, c.init.PID)
	if err == nil {
		err = c.entry.Update(func(r *state.Record) { r.Init = process })
	}
	if err != nil {
		return err
	}
	if directory == nil {
		return c.cgroup.Join(c.init.PID)
	}
	return nil
}

// reap waits for init, which may end whenever it likes.
func (c *Container) reap() {
	// The only error is that it isn't our child, which it is.
	c.exit, _ = c.init.Wait()
	close(c.ended)
}

// setUp hands parked init everything, and waits until it is ready.
func (c *Container) setUp(ctx context.Context) error {
	process := c.config.Spec.Process
	rlimits, err := raiseLimits(c.init.PID, process.Rlimits, c.warn)
	if err != nil {
		return err
	}
	if process.OOMScoreAdj != nil {
		if err := setOOMScore(c.config.Proc, c.init.PID, *process.OOMScoreAdj, c.warn); err != nil {
			return err
		}
	}
	cgroups, err := cgroupDirs(c.config.Layout, c.cgroup.Paths())
	if err != nil {
		return err
	}
	setup := &initproc.Setup{
		Spec: c.config.Spec, Overlay: c.config.Overlay, Cgroups: cgroups, Rlimits: rlimits, Reaper: c.config.Init,
	}
	var files []*os.File
	if c.config.Views != nil {
		trees, err := c.config.Views.Views(ctx, c.cgroup.Paths(), c.init.PID)
		if err != nil {
			return fmt.Errorf("views: %w", err)
		}
		defer func() {
			for _, tree := range trees {
				_ = tree.Close()
			}
		}()
		for _, tree := range trees {
			setup.Views = append(setup.Views, tree.Destination)
			files = append(files, tree.File)
		}
	}
	if err := c.conn.Send(initproc.Message{Kind: initproc.KindSetup, Setup: setup}, files...); err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	return c.awaitReady()
}

func (c *Container) awaitReady() error {
	for {
		m, files, err := c.conn.Receive()
		if err != nil {
			return c.lost(err)
		}
		switch {
		case m.Kind == initproc.KindWarning:
			c.warn("%s", m.Text)
		case m.Kind == initproc.KindConsole && len(files) == 1:
			c.console = files[0]
			continue
		case m.Kind == initproc.KindReady:
			closeFiles(files)
			return nil
		case m.Kind == initproc.KindFailed && m.Failure != nil:
			closeFiles(files)
			return m.Failure
		default:
			closeFiles(files)
			return fmt.Errorf("start init: unexpected %q message", m.Kind)
		}
		closeFiles(files)
	}
}

// lost is the error for a socket on which init said nothing more.
func (c *Container) lost(err error) error {
	_ = c.init.Signal(unix.SIGKILL) // if it didn't end by itself, it is of no use
	<-c.ended
	if c.exit.Signaled() {
		return fmt.Errorf("start init: it was killed by signal %d (%s) before it was ready; a memory limit below what init needs does that: %w",
			c.exit.Signal(), c.exit.Signal(), err)
	}
	return fmt.Errorf("start init: it ended with status %d before it was ready: %w", c.exit.ExitStatus(), err)
}

// Start executes the command. An error that ExitStatus maps to 126 or 127 says
// that it can't be executed. The container is to be deleted after any error.
func (c *Container) Start() error {
	if status := c.currentStatus(); status != specs.StateCreated {
		return fmt.Errorf("start container %s: it is %s, not created", c.config.ID, status)
	}
	if err := c.conn.Send(initproc.Message{Kind: initproc.KindStart}); err != nil {
		return c.lost(err)
	}
	m, files, err := c.conn.Receive()
	closeFiles(files)
	if err == nil && m.Kind == initproc.KindFailed && m.Failure != nil {
		<-c.ended
		return m.Failure
	}
	if err == nil {
		_ = c.init.Signal(unix.SIGKILL)
		return fmt.Errorf("start container %s: unexpected %q message", c.config.ID, m.Kind)
	}
	// The end of the file is execve's, or that of init, which then is a
	// container that ended at once.
	_ = c.conn.Close()
	return c.setStatus(specs.StateRunning)
}

// Wait waits until the container's first process has ended and gives its exit
// status, 128 + N if signal N killed it. An error is ctx's.
func (c *Container) Wait(ctx context.Context) (int, error) {
	select {
	case <-c.ended:
		return initproc.ExitStatus(c.exit), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for container %s: %w", c.config.ID, context.Cause(ctx))
	}
}

// ErrStopped says that the container doesn't run any more.
var ErrStopped = errors.New("not running")

// Signal sends a signal to the container's first process.
func (c *Container) Signal(sig unix.Signal) error {
	err := c.init.Signal(sig)
	if errors.Is(err, unix.ESRCH) {
		err = ErrStopped
	}
	if err != nil {
		return fmt.Errorf("signal container %s: %w", c.config.ID, err)
	}
	return nil
}

// Kill ends every process of the container and waits until none is left.
func (c *Container) Kill(ctx context.Context) error {
	if err := c.Signal(unix.SIGKILL); err != nil && !errors.Is(err, ErrStopped) {
		return err
	}
	if err := c.cgroup.Kill(ctx); err != nil {
		return fmt.Errorf("kill container %s: %w", c.config.ID, err)
	}
	_, err := c.Wait(ctx)
	return err
}

// PID is that of the container's first process.
func (c *Container) PID() int { return c.init.PID }

// Cgroup is the container's cgroup.
func (c *Container) Cgroup() *cgroup.Cgroup { return c.cgroup }

// Console is the master of the container's terminal, nil if its config asks for
// none. The caller closes it.
func (c *Container) Console() *os.File { return c.console }

// State is the container's state as the OCI specification has it.
func (c *Container) State() specs.State {
	s := specs.State{
		Version:     specs.Version,
		ID:          c.config.ID,
		Status:      c.currentStatus(),
		Bundle:      c.config.Bundle,
		Annotations: c.config.Spec.Annotations,
	}
	if s.Status != specs.StateStopped {
		s.Pid = c.init.PID
	}
	return s
}

func (c *Container) currentStatus() specs.ContainerState {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.ended:
		return specs.StateStopped
	default:
		return c.status
	}
}

func (c *Container) setStatus(status specs.ContainerState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
	return c.entry.Update(func(r *state.Record) { r.Status = status })
}

// warn logs something that was asked for and can't be had.
func (c *Container) warn(format string, args ...any) {
	c.config.Log.Warn("not as asked for", slog.String("container", c.config.ID), slog.String("what", fmt.Sprintf(format, args...)))
}
