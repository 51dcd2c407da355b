// SPDX-License-Identifier: Apache-2.0

package mountpoint

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

// Mounted is a tree of ours that is mounted and served.
type Mounted struct {
	procRoot string
	path     string
	device   [2]int        // its file system's major and minor number, to tell it from others
	ended    chan struct{} // closed when the connection has ended
	err      error         // why, valid then
}

// Mount mounts a tree on a prepared mountpoint and serves it. When it fails
// nothing is mounted.
func Mount(procRoot, path string, t fusefs.Tree) (*Mounted, error) {
	return MountAs(fusefs.OurName(), procRoot, path, t)
}

// MountAs is Mount with another name in the list of mounts.
func MountAs(name fusefs.MountName, procRoot, path string, t fusefs.Tree) (*Mounted, error) {
	dev, err := fusefs.OpenDevice()
	if err != nil {
		return nil, err
	}
	if err := fusefs.MountDeviceAs(name, dev, path); err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	m := &Mounted{procRoot: procRoot, path: path, ended: make(chan struct{})}
	// The server has a descriptor of its own. Were ours kept, readers would
	// hang, not fail, when the server gives up.
	err = errors.Join(m.serve(t, dev), dev.Close())
	if err != nil {
		return nil, errors.Join(err, unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
	}
	return m, nil
}

// serve starts to answer and returns when the first request is answered.
func (m *Mounted) serve(t fusefs.Tree, dev *os.File) error {
	entry, err := at(m.procRoot, m.path)
	if err != nil {
		return err
	}
	if entry == nil {
		return fmt.Errorf("mount %s: not in the list of mounts", m.path)
	}
	m.device = [2]int{entry.Major, entry.Minor}
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
		return fmt.Errorf("serve %s: ended at once: %w", m.path, m.Reason())
	case <-timer.C:
		server.Close()
		return fmt.Errorf("serve %s: the kernel sent no request within %v", m.path, readyLimit)
	}
}

// ErrUnmounted is the end of a connection that nobody here wanted.
var ErrUnmounted = errors.New("somebody unmounted it or aborted its connection")

// Path is where it is mounted.
func (m *Mounted) Path() string { return m.path }

// Ended is closed when the connection has ended.
func (m *Mounted) Ended() <-chan struct{} { return m.ended }

// Reason says why the connection has ended, once it has.
func (m *Mounted) Reason() error {
	if m.err != nil {
		return m.err
	}
	return ErrUnmounted
}

// Unmount takes the mount out of the tree of mounts, if it is still there, and
// waits a moment for the end of its connection. Requests are answered meanwhile.
//
// umount2(MNT_DETACH) asks the server nothing: fuse sends DESTROY to servers of
// block devices only, and when the detached mount was the last use of the
// connection it is aborted (fuse_conn_destroy, fs/fuse/inode.c). Where files
// of it are held elsewhere, the connection ends with this process.
func (m *Mounted) Unmount() error {
	entry, err := at(m.procRoot, m.path)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.path, err)
	}
	if entry != nil && m.device == [2]int{entry.Major, entry.Minor} {
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
