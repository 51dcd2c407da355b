// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/process"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
)

// Inherited are the descriptors that SpawnOwn hands to an own server.
type Inherited struct {
	// Bound and Static are opened /dev/fuse, for the trees of these names; whoever
	// handed them over mounts them.
	Bound, Static *os.File
	// Control is a connected stream socket.
	Control *os.File
}

// TakeInherited gives the descriptors to the program that SpawnOwn has started.
func TakeInherited() Inherited {
	return Inherited{
		Bound: os.NewFile(3, "/dev/fuse"), Static: os.NewFile(4, "/dev/fuse"), Control: os.NewFile(5, "control"),
	}
}

// ServeOwn is the server of one `run`. It serves the container's trees on the
// devices and the protocol on the control socket. Registered.Dir and Static are
// directories below the roots of the trees.
//
// It lives as long as its parent keeps the other end of control: then, if an
// owned container is still registered, it kills the container's init process,
// goes on answering reads until that is gone (a process that waits for an
// answer can't die), and returns nil. The end of ctx does the same. Nobody
// should wait for it with a container frozen: SIGKILL takes effect when it is
// thawed.
//
// It takes the descriptors over.
func ServeOwn(ctx context.Context, inherited Inherited, log *slog.Logger) error {
	return serveOwn(ctx, inherited, "/proc", "/sys", log)
}

func serveOwn(ctx context.Context, inherited Inherited, proc, sys string, log *slog.Logger) (err error) {
	conn, err := net.FileConn(inherited.Control)
	if err = errors.Join(err, inherited.Control.Close()); err != nil {
		return errors.Join(fmt.Errorf("control socket: %w", err), inherited.Bound.Close(), inherited.Static.Close())
	}
	defer conn.Close() //nolint:errcheck // its peer is gone, or gets EOF
	layout, err := cgroupread.Detect(proc)
	if err != nil {
		return errors.Join(err, inherited.Bound.Close(), inherited.Static.Close())
	}
	host := fusefs.NewHost(proc, sys, layout, time.Now, log)
	has := presence(host)
	bound := fusefs.NewBound(host)
	server, err := serveDevice(bound, inherited.Bound)
	if err != nil {
		return errors.Join(err, inherited.Static.Close())
	}
	defer server.Close() // for when nobody ever mounted it
	static, err := serveDevice(fusefs.NewStatic(bound), inherited.Static)
	if err != nil {
		return err
	}
	defer static.Close()
	ctl := newControl(log, &registry{
		log:     log,
		clock:   time.Now,
		procs:   process.Table{Root: proc},
		open:    layout.Open,
		init:    locate.New(proc, layout).Init,
		tree:    bound,
		root:    "/",
		kept:    "/",
		has:     has,
		max:     maxContainers,
		entries: make(map[string]*entry),
	})
	ctl.self = wire.Server{PID: os.Getpid(), StartedAt: time.Now()}
	// The only connection; an idle limit is not for it.
	s := &session{conn: conn, owns: true}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // to wake the reader up
	defer stop()
	err = ctl.answerAll(s)
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || ctx.Err() != nil {
		// The ways in which the parent, or ctx, ends.
		err = nil
	}
	return errors.Join(err, ctl.endOwned(s))
}

// serveDevice answers a device and closes it: the server has a descriptor of its
// own; see mountpoint.Mount.
func serveDevice(t fusefs.Tree, dev *os.File) (*fusefs.Server, error) {
	server, err := fusefs.Serve(t, dev)
	if err := errors.Join(err, dev.Close()); err != nil {
		return nil, err
	}
	return server, nil
}

// endOwned kills what the session owns and returns when it is gone.
func (c *control) endOwned(s *session) error {
	var failed []error
	for _, e := range c.reg.ownedBy(s) {
		c.log.Warn("owner of a container is gone, killing its init process", "id", e.reg.ID, "init", e.reg.InitPID)
		err := e.pid.Kill()
		if err == nil {
			// With no end of its own: as long as anything in the container
			// can read, it is answered.
			err = e.pid.Wait(context.Background())
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
