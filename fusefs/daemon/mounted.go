// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
)

// drainLimit is how long the end of a server waits for the end of its
// connection, which containers that hold its files can put off.
const drainLimit = time.Second

// readyLimit bounds the wait for the kernel's first request, which comes with
// the mount.
const readyLimit = 10 * time.Second

// mounted is a tree of ours that is mounted and served.
type mounted struct {
	procRoot string
	path     string
	device   string        // its file system's major:minor, to tell it from others
	ended    chan struct{} // closed when the connection has ended
	err      error         // why, valid then
}

// mountTree mounts a tree on a prepared mountpoint and serves it. When it fails
// nothing is mounted.
func mountTree(procRoot, path string, t fusefs.Tree) (*mounted, error) {
	dev, err := fusefs.OpenDevice()
	if err != nil {
		return nil, err
	}
	if err := fusefs.MountDevice(dev, path); err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	m := &mounted{procRoot: procRoot, path: path, ended: make(chan struct{})}
	// The server has a descriptor of its own. Were ours kept, readers would
	// hang, not fail, when the server gives up.
	err = errors.Join(m.serve(t, dev), dev.Close())
	if err != nil {
		return nil, errors.Join(err, unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
	}
	return m, nil
}

// serve starts to answer and returns when the first request is answered.
func (m *mounted) serve(t fusefs.Tree, dev *os.File) error {
	entry, found, err := mountAt(m.procRoot, m.path)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("mount %s: not in the list of mounts", m.path)
	}
	m.device = entry.device
	server, err := fusefs.Serve(t, dev)
	if err != nil {
		return err
	}
	go func() {
		m.err = server.Wait()
		close(m.ended)
	}()
	timer := time.NewTimer(readyLimit)
	defer timer.Stop()
	select {
	case <-server.Ready():
		return nil
	case <-m.ended:
		return fmt.Errorf("serve %s: ended at once: %w", m.path, m.reason())
	case <-timer.C:
		server.Close()
		return fmt.Errorf("serve %s: the kernel sent no request within %v", m.path, readyLimit)
	}
}

// errUnmounted is the end of a connection that nobody here wanted.
var errUnmounted = errors.New("somebody unmounted it or aborted its connection")

// reason says why the connection has ended.
func (m *mounted) reason() error {
	if m.err != nil {
		return m.err
	}
	return errUnmounted
}

// unmount takes the mount out of the tree of mounts, if it is still there, and
// waits a moment for the end of its connection. It doesn't wait for requests:
// see the package comment.
func (m *mounted) unmount() error {
	entry, found, err := mountAt(m.procRoot, m.path)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.path, err)
	}
	if found && entry.device == m.device {
		err := unix.Unmount(m.path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil {
			return fmt.Errorf("unmount %s: %w", m.path, err)
		}
	}
	timer := time.NewTimer(drainLimit)
	defer timer.Stop()
	select {
	case <-m.ended:
	case <-timer.C:
	}
	return nil
}
