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

// ServeOwn is the server of one `run`. It serves the bound tree on dev, an
// opened /dev/fuse that its parent mounts, and the protocol on control, a
// connected stream socket. Registered.Dir is the directory below the mount's
// root.
//
// It lives as long as its parent keeps the other end of control: then, if an
// owned container is still registered, it kills the container's init process,
// goes on answering reads until that is gone (a process that waits for an
// answer can't die), and returns nil. The end of ctx does the same. Nobody
// should wait for it with a container frozen: SIGKILL takes effect when it is
// thawed.
//
// It takes dev and control over.
func ServeOwn(ctx context.Context, dev, control *os.File, log *slog.Logger) error {
	return serveOwn(ctx, dev, control, "/proc", "/sys", log)
}

func serveOwn(ctx context.Context, dev, control *os.File, proc, sys string, log *slog.Logger) (err error) {
	conn, err := net.FileConn(control)
	if err = errors.Join(err, control.Close()); err != nil {
		return errors.Join(fmt.Errorf("control socket: %w", err), dev.Close())
	}
	defer conn.Close() //nolint:errcheck // its peer is gone, or gets EOF
	layout, err := cgroupread.Detect(proc)
	if err != nil {
		return errors.Join(err, dev.Close())
	}
	host := fusefs.NewHost(proc, sys, layout, time.Now, log)
	has := presence(host)
	bound := fusefs.NewBound(host)
	server, err := fusefs.Serve(bound, dev)
	// The server has a descriptor of its own; see mountpoint.Mount.
	if err := errors.Join(err, dev.Close()); err != nil {
		return err
	}
	defer server.Close() // for when nobody ever mounted it
	ctl := newControl(log, &registry{
		log:     log,
		clock:   time.Now,
		procs:   process.Table{Root: proc},
		open:    layout.Open,
		init:    locate.New(proc, layout).Init,
		tree:    bound,
		root:    "/",
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
