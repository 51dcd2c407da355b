// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/mountpoint"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/process"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
)

// Names in the state directory.
const (
	controlName   = "control.sock"
	boundName     = "bound"
	staticName    = "static"
	historiesName = "cpu" // CPU times of containers; see fusefs.Histories
)

// Config is what Run needs to know.
type Config struct {
	// Mountpoint is the absolute path of the shared tree's mount, made when it
	// is missing.
	Mountpoint string
	// StateDir is the absolute path of the directory for the control socket
	// and the bound tree, made when it is missing.
	StateDir string
	// Proc and Sys are where the host's /proc and /sys are.
	Proc, Sys string
	// Rules say how containers are shown, and the shared tree by their default.
	Rules policy.Rules
	// Reload is asked for other rules when SIGHUP comes; an error is logged and
	// changes nothing. nil leaves the signal alone.
	Reload func() (policy.Rules, error)
	// LXCFS has the shared tree take LXCFS's place: with its name in mount tables,
	// and its signals. SIGUSR1 is SIGHUP, and SIGUSR2 shows all readers the host,
	// sent again each its own container.
	LXCFS bool
	// Version and ConfigPath are for those who ask the server about itself.
	Version, ConfigPath string
	Log                 *slog.Logger
	// Notify is told "READY=1" and "STOPPING=1"; nil sends them to the socket
	// that the environment's NOTIFY_SOCKET names, if it does.
	Notify func(state string)
}

func (c Config) check() error {
	for _, p := range []struct{ what, path string }{
		{"mountpoint", c.Mountpoint}, {"state directory", c.StateDir}, {"proc", c.Proc}, {"sys", c.Sys},
	} {
		if !filepath.IsAbs(p.path) {
			return fmt.Errorf("%s: %q: must be an absolute path", p.what, p.path)
		}
	}
	// Below the shared mount nothing of ours may hang: containers are given
	// all of it (and the socket would be out of reach).
	if within(c.StateDir, c.Mountpoint) {
		return fmt.Errorf("state directory: %s: lies below the mountpoint %s", c.StateDir, c.Mountpoint)
	}
	for _, name := range []string{boundName, staticName} {
		if tree := filepath.Join(c.StateDir, name); within(c.Mountpoint, tree) {
			return fmt.Errorf("mountpoint: %s: lies below %s, where the containers' trees are", c.Mountpoint, tree)
		}
	}
	return nil
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// Run serves a host until ctx ends, then unmounts and returns nil. It returns
// an error when it can't start, with nothing left mounted, and when somebody
// else unmounts one of its trees. ErrLocked: another server runs there.
func Run(ctx context.Context, c Config) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	if c.Notify == nil {
		c.Notify = notifier(os.Getenv("NOTIFY_SOCKET"), c.Log)
	}
	hangups, stopHangups := c.hangups()
	defer stopHangups()
	toggles, stopToggles := c.toggles()
	defer stopToggles()
	layout, err := cgroupread.Detect(c.Proc)
	if err != nil {
		return err
	}
	// Others may pass through to what they have a right to; the socket and
	// the lock have modes of their own.
	if err := os.MkdirAll(c.StateDir, 0o711); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	lock, err := lockStateDir(c.StateDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	// All are looked at before any is mounted: from then on this process
	// keeps its hands off them.
	boundPath, err := mountpoint.Prepare(c.Proc, filepath.Join(c.StateDir, boundName))
	if err != nil {
		return err
	}
	staticPath, err := mountpoint.Prepare(c.Proc, filepath.Join(c.StateDir, staticName))
	if err != nil {
		return err
	}
	sharedPath, err := mountpoint.Prepare(c.Proc, c.Mountpoint)
	if err != nil {
		return err
	}
	host := fusefs.NewHost(c.Proc, c.Sys, layout, time.Now, c.Log, fusefs.Histories(filepath.Join(c.StateDir, historiesName)))
	has := presence(host)
	bound := fusefs.NewBound(host)
	boundMount, err := mountpoint.Mount(c.Proc, boundPath, bound)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, boundMount.Unmount()) }()
	staticMount, err := mountpoint.Mount(c.Proc, staticPath, fusefs.NewStatic(bound))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, staticMount.Unmount()) }()
	locator := locate.New(c.Proc, layout)
	defer locator.Close()
	shared := fusefs.NewShared(host, locator)
	shared.SetPolicy(c.Rules.Default().Policy())
	sharedMount, err := mountpoint.MountAs(c.sharedName(), c.Proc, sharedPath, shared)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sharedMount.Unmount()) }()

	ctl := newControl(c.Log, &registry{
		log:     c.Log,
		clock:   time.Now,
		procs:   process.Table{Root: c.Proc},
		open:    layout.Open,
		init:    locator.Init,
		tree:    bound,
		root:    boundMount.Path(),
		kept:    staticMount.Path(),
		has:     has,
		shared:  sharedMount.Path(),
		rules:   c.Rules,
		max:     maxContainers,
		entries: make(map[string]*entry),
	})
	ctl.self = wire.Server{
		Version: c.Version, PID: os.Getpid(), StartedAt: time.Now(), Mountpoint: sharedMount.Path(), Config: c.ConfigPath,
	}
	ctl.unlocated, ctl.shared = shared.Errors, shared.Explain
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		c.reload(ctx, hangups, func(r policy.Rules) {
			ctl.reg.setRules(r)
			shared.SetPolicy(r.Default().Policy())
		})
	})
	wg.Go(func() { c.toggle(ctx, toggles, shared.ShowHost) })
	err = serveControl(ctx, c, ctl, boundMount, staticMount, sharedMount)
	cancel()
	wg.Wait()
	return err
}

// presence tells which files of the table are in trees over a host. It is to be asked
// for before anything of ours is mounted.
func presence(host *fusefs.Host) func(file string) bool {
	present := map[string]bool{}
	for _, f := range host.Files() {
		present[f.Path] = true
	}
	return func(file string) bool { return present[file] }
}

// serveControl answers the control socket until ctx ends (nil), or one of the
// mounts or the socket fails.
func serveControl(ctx context.Context, c Config, ctl *control, boundMount, staticMount, sharedMount *mountpoint.Mounted) error {
	socket := filepath.Join(c.StateDir, controlName)
	listener, err := listenControl(socket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	accepting := make(chan error, 1)
	wg.Go(func() { accepting <- ctl.serve(listener) })
	wg.Go(func() { ctl.reg.janitor(ctx) })

	c.Log.Info("serving", "mountpoint", sharedMount.Path(), "bound", boundMount.Path(), "static", staticMount.Path(), "socket", socket)
	c.Notify("READY=1")
	select {
	case <-ctx.Done():
		c.Log.Info("stopping")
	case <-sharedMount.Ended():
		err = ended(sharedMount)
	case <-boundMount.Ended():
		err = ended(boundMount)
	case <-staticMount.Ended():
		err = ended(staticMount)
	case err = <-accepting:
	}
	c.Notify("STOPPING=1")
	// Closing the listener removes the socket's file too.
	if closeErr := listener.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("control socket: %w", closeErr))
	}
	cancel()
	ctl.stop()
	wg.Wait()
	return err
}

// ended is the error of a mount that was to stay.
func ended(m *mountpoint.Mounted) error {
	return fmt.Errorf("mountpoint %s: %w", m.Path(), m.Reason())
}
