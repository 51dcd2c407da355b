// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/wire"
)

// ErrNotRunning says that no server listens in the state directory.
var ErrNotRunning = errors.New("no server is running")

var errIncomplete = errors.New("control socket: the server's answer is incomplete")

// connectLimit bounds the wait for a server that is stopped or overrun.
const connectLimit = 5 * time.Second

// Client talks to a server. It may be used by several goroutines; their calls
// take turns.
type Client struct {
	conn net.Conn

	mu    sync.Mutex
	lines wire.LineReader
	n     uint64
	// broken is why no further call can be made; the connection stays open,
	// since closing it ends the containers that it owns.
	broken error
}

func newClient(conn net.Conn) *Client {
	return &Client{conn: conn, lines: wire.LineReader{R: conn}}
}

// Dial connects to the server of a state directory. The error is
// ErrNotRunning when there is none.
func Dial(stateDir string) (*Client, error) {
	path := filepath.Join(stateDir, controlName)
	conn, err := net.DialTimeout("unix", path, connectLimit)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("control socket: %s: %w: start one with 'procfs-shim serve'", path, ErrNotRunning)
	}
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return newClient(conn), nil
}

// Register makes a container known to the server. Doing it again changes
// nothing but what is chosen anew; the answer says what is in force. Errors of the server are *Error: wire.CodeConflict when the id is that
// of another living container, wire.CodeGone when its init process or cgroup
// isn't there, wire.CodeFull when the server takes no more.
func (c *Client) Register(ctx context.Context, r Registration) (Registered, error) {
	a, err := c.call(ctx, wire.Request{Op: wire.OpRegister, Registration: &r})
	if err != nil {
		return Registered{}, err
	}
	if a.Registered == nil {
		return Registered{}, errIncomplete
	}
	return *a.Registered, nil
}

// Unregister ends a registration: the container's directory is gone, reads of
// files that are still mounted in it fail. An unknown id is no error, nor is
// one that another connection owns, which stays registered.
func (c *Client) Unregister(ctx context.Context, id string) error {
	_, err := c.call(ctx, wire.Request{Op: wire.OpUnregister, ID: id})
	return err
}

// List gives all containers of the server, sorted by id.
func (c *Client) List(ctx context.Context) ([]Status, error) {
	var all []Status
	for after := ""; ; after = all[len(all)-1].ID {
		a, err := c.call(ctx, wire.Request{Op: wire.OpList, After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, a.Containers...)
		if !a.More || len(a.Containers) == 0 {
			return all, nil
		}
	}
}

// Server gives what the server says of itself.
func (c *Client) Server(ctx context.Context) (Server, error) {
	a, err := c.call(ctx, wire.Request{Op: wire.OpServer})
	if err != nil {
		return Server{}, err
	}
	if a.Server == nil {
		return Server{}, errIncomplete
	}
	return *a.Server, nil
}

// Close ends the connection, and so the containers that were registered as
// owned on it and not unregistered.
func (c *Client) Close() error { return c.conn.Close() }

// call sends one request and waits for its answer, as long as ctx allows.
func (c *Client) call(ctx context.Context, r wire.Request) (wire.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return wire.Answer{}, err
	}
	if c.broken != nil {
		return wire.Answer{}, fmt.Errorf("control socket: an earlier call failed: %w", c.broken)
	}
	c.n++
	r.N = c.n
	line, err := wire.EncodeLine(r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return wire.Answer{}, fmt.Errorf("control socket: %w", err)
	}
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		// The past: what waits now ends now.
		c.conn.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // fails only when closed, which ends the wait too
		close(expired)
	})
	a, err := c.exchange(line, r.N)
	if !stop() {
		<-expired
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return wire.Answer{}, fmt.Errorf("control socket: %w", err)
	}
	if a.Error != nil {
		return wire.Answer{}, a.Error
	}
	return a, nil
}

// exchange writes a line and reads until answer n has come. An answer that
// an earlier call didn't wait for is passed over.
func (c *Client) exchange(line []byte, n uint64) (wire.Answer, error) {
	if written, err := c.conn.Write(line); err != nil {
		if written > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			c.broken = err
		}
		// A server that refuses a connection says why before it closes it.
		if a, readErr := c.next(); readErr == nil && a.N == 0 && a.Error != nil {
			return wire.Answer{}, a.Error
		}
		return wire.Answer{}, err
	}
	for {
		a, err := c.next()
		switch {
		case errors.Is(err, io.EOF):
			c.broken = errors.New("the server closed the connection")
			return wire.Answer{}, c.broken
		case err != nil:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				c.broken = err
			}
			return wire.Answer{}, err
		case a.N == 0 && a.Error != nil:
			// Not to any request of ours: the server is about to close.
			c.broken = a.Error
			return wire.Answer{}, a.Error
		case a.N == n:
			return a, nil
		case a.N > n:
			c.broken = fmt.Errorf("answer %d to request %d", a.N, n)
			return wire.Answer{}, c.broken
		}
	}
}

func (c *Client) next() (wire.Answer, error) {
	line, err := c.lines.Read()
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.DecodeAnswer(line)
}
