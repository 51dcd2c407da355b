// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
)

const (
	// maxConnections is how many clients may be connected. Every `run` keeps
	// one open.
	maxConnections = maxContainers + 64

	// idleLimit ends a connection that owns nothing and asks nothing.
	idleLimit = 10 * time.Minute

	// answerLimit ends a connection whose client doesn't take its answer.
	answerLimit = 10 * time.Second
)

// control answers the protocol.
type control struct {
	log *slog.Logger
	reg *registry
	max int
	// self is what doesn't change of the answer to "server".
	self wire.Server
	// unlocated counts the failed reads of the shared tree that are no
	// container's; nil where there is no such tree.
	unlocated func() map[fusefs.Cause]uint64
	// shared explains what an open file of the shared tree holds; nil where there is
	// no such tree.
	shared func(snapshotID uint64) (fusefs.Explanation, error)

	wg       sync.WaitGroup
	mu       sync.Mutex
	sessions map[*session]struct{}
	stopping bool
}

// session is one connection.
type session struct {
	conn net.Conn
	// denied is why this peer may not register, nil when it may.
	denied error
	// owns says that a registration depends on this connection.
	owns bool
	// explained is the answer to "explain" that is being sent in parts.
	explained []byte
}

func newControl(log *slog.Logger, reg *registry) *control {
	return &control{log: log, reg: reg, max: maxConnections, sessions: make(map[*session]struct{})}
}

// listenControl makes the control socket. A file at its place is a dead
// server's: the caller holds the lock of the directory.
func listenControl(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmodErr error
		// The mode of a socket before bind(2) is the mode of the file that
		// bind makes (unix_bind_bsd, net/unix/af_unix.c), so there is no
		// moment in which others could connect.
		err := c.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmodErr)
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	unixListener, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("control socket: a %T instead of a unix listener", l), l.Close())
	}
	return unixListener, nil
}

// serve accepts connections until the listener is closed.
func (c *control) serve(l *net.UnixListener) error {
	for {
		conn, err := l.AcceptUnix()
		switch {
		case err == nil:
			c.accept(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ECONNABORTED):
			// Passing: it goes on when somebody closes something.
			c.log.Warn("control socket: accept", "error", err)
			time.Sleep(100 * time.Millisecond)
		default:
			return fmt.Errorf("control socket: accept: %w", err)
		}
	}
}

// accept starts to answer a new connection, if its peer may ask.
func (c *control) accept(conn *net.UnixConn) {
	s := &session{conn: conn}
	err := checkPeer(conn, s, c.reg.procs.Root)
	c.mu.Lock()
	if err == nil && len(c.sessions) >= c.max {
		err = wire.Errorf(wire.CodeFull, "%d clients are connected, no more are taken", c.max)
	}
	if err == nil && !c.stopping {
		c.sessions[s] = struct{}{}
		c.wg.Go(func() { c.handle(s) })
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	if err != nil {
		c.log.Warn("control socket: client refused", "error", err)
		s.send(wire.Answer{Error: wire.AsError(err)}) //nolint:errcheck // closed anyway
	}
	conn.Close() //nolint:errcheck // nothing was promised on it
}

// checkPeer lets user 0 and the server's own user in, and finds out whether
// the process ids that the peer will name are those the server knows.
func checkPeer(conn *net.UnixConn, s *session, procRoot string) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("peer credentials: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return fmt.Errorf("peer credentials: %w", errors.Join(err, credErr))
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return wire.Errorf(wire.CodeDenied, "user %d may not use this socket", cred.Uid)
	}
	s.denied = checkNamespace(procRoot, int(cred.Pid))
	return nil
}

// checkNamespace refuses a peer in another PID namespace. Pid 0 is what
// SO_PEERCRED gives for a process that has no number in ours.
func checkNamespace(procRoot string, pid int) error {
	own, err := os.Readlink(filepath.Join(procRoot, "self/ns/pid"))
	if err != nil {
		return fmt.Errorf("own PID namespace: %w", err)
	}
	peer, err := os.Readlink(filepath.Join(procRoot, strconv.Itoa(pid), "ns/pid"))
	if pid == 0 || err == nil && peer != own {
		return wire.Errorf(wire.CodeDenied, "the client runs in another PID namespace than the server: process ids mean something else there; run it beside the server")
	}
	if err != nil {
		return wire.Errorf(wire.CodeDenied, "the client's PID namespace: %v", err)
	}
	return nil
}

// handle answers one connection until it ends, and ends the containers that
// depend on it.
func (c *control) handle(s *session) {
	if err := c.answerAll(s); err != nil {
		c.log.Debug("control connection ended", "error", err)
	}
	c.mu.Lock()
	stopping := c.stopping
	delete(c.sessions, s)
	c.mu.Unlock()
	s.conn.Close() //nolint:errcheck // its peer is gone or gets EOF
	if stopping {
		// It is the server that ends, not the container's owner.
		return
	}
	c.killOwned(s)
}

// killOwned ends the containers of a session whose client is gone, and gives
// those that were killed.
func (c *control) killOwned(s *session) {
	for _, e := range c.reg.ownedBy(s) {
		c.log.Warn("owner of a container is gone, killing its init process", "id", e.reg.ID, "init", e.reg.InitPID)
		if err := e.pid.Kill(); err != nil {
			c.log.Error("container not killed", "id", e.reg.ID, "init", e.reg.InitPID, "error", err)
		}
		c.reg.forget(e, "its owner is gone")
	}
}

// answerAll answers requests until the client closes the connection (nil) or
// something keeps it from going on.
func (c *control) answerAll(s *session) error {
	lines := wire.LineReader{R: s.conn}
	for {
		deadline := time.Time{}
		if !s.owns {
			deadline = time.Now().Add(idleLimit)
		}
		if err := s.conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		line, err := lines.Read()
		if errors.Is(err, wire.ErrLineTooLong) {
			return errors.Join(err, s.send(wire.Answer{Error: wire.ErrLineTooLong}))
		}
		if err != nil {
			return err
		}
		if err := s.send(c.answer(s, line)); err != nil {
			return err
		}
	}
}

// answer does what one line asks.
func (c *control) answer(s *session, line []byte) wire.Answer {
	r, err := wire.DecodeRequest(line)
	a := wire.Answer{N: r.N}
	if err == nil {
		err = c.perform(s, r, &a)
	}
	if err != nil {
		c.log.Debug("control request refused", "op", r.Op, "error", err)
		return wire.Answer{N: r.N, Error: wire.AsError(err)}
	}
	return a
}

func (c *control) perform(s *session, r wire.Request, a *wire.Answer) (err error) {
	switch r.Op {
	case wire.OpRegister:
		if s.denied != nil {
			return s.denied
		}
		registered, err := c.reg.register(s, *r.Registration)
		if err != nil {
			return err
		}
		s.owns = s.owns || r.Registration.Owned
		a.Registered = &registered
	case wire.OpResolve:
		resolved := c.reg.resolve(*r.Registration)
		a.Registered = &resolved
	case wire.OpUnregister:
		c.reg.unregister(s, r.ID)
	case wire.OpExplain:
		a.Part, a.More, err = c.explain(s, *r.Explain)
	case wire.OpServer:
		about := c.about()
		a.Server = &about
	case wire.OpList:
		a.Containers, a.More, err = wire.Page(c.reg.list(r.After))
	}
	return err
}

// about is what the server says of itself.
func (c *control) about() wire.Server {
	s := c.self
	s.Choices = c.reg.defaults()
	s.Policy, s.Files = s.Choices.Policy(), c.reg.files(s.Choices)
	s.Errors = map[fusefs.Cause]uint64{}
	if c.unlocated != nil {
		maps.Copy(s.Errors, c.unlocated())
	}
	for _, e := range c.reg.snapshot() {
		s.Containers++
		for cause, n := range c.reg.tree.Errors(e.reg.ID) {
			s.Errors[cause] += n
		}
	}
	return s
}

// send writes one answer.
func (s *session) send(a wire.Answer) error {
	line, err := wire.EncodeLine(a)
	if err != nil {
		if line, err = wire.EncodeLine(wire.Answer{N: a.N, Error: wire.AsError(err)}); err != nil {
			return err
		}
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	_, err = s.conn.Write(line)
	return err
}

// stop closes every connection and waits for those who answer them. The
// containers that depend on one are left alive.
func (c *control) stop() {
	c.mu.Lock()
	c.stopping = true
	for s := range c.sessions {
		s.conn.Close() //nolint:errcheck // its peer gets EOF
	}
	c.mu.Unlock()
	c.wg.Wait()
}
