// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/mountpoint"
)

const (
	// OwnServerCommand is the hidden command that SpawnOwn starts; it has to
	// call ServeOwn with what TakeInherited gives.
	OwnServerCommand = "own-server"

	// logSize is how much of the own server's log is kept.
	logSize = 64 << 10

	// ownEndLimit bounds the wait for the own server's end.
	ownEndLimit = 5 * time.Second
)

// Own is a running server of one container, seen from the `run` that started
// it.
type Own struct {
	*Client

	devices mountpoint.Devices // closed by Mount
	server  *os.Process
	log     *os.File
	ended   chan struct{} // closed when the process has ended
	status  error         // of the process, valid then
	target  string
	close   sync.Once
}

// SpawnOwn starts the server of one container: the program self with the
// argument OwnServerCommand, in a session of its own, so that neither the
// terminal's signals nor its hang-up reach it, and with a log that can't block
// it. Call it before the calling thread enters other namespaces: the server
// has to see the host's /proc and process ids, and must not keep a mount
// namespace alive.
//
// The server ends with the returned Own, and when this process ends in
// whatever way, and takes the container with it (Registration.Owned).
func SpawnOwn(self string) (_ *Own, err error) {
	var undo []func() error
	defer func() {
		if err != nil {
			for _, f := range undo {
				err = errors.Join(err, f())
			}
			err = fmt.Errorf("own server: %w", err)
		}
	}()
	devices, err := mountpoint.OpenDevices(boundName, staticName)
	if err != nil {
		return nil, err
	}
	undo = append(undo, devices.Close)
	log, err := boundedLog()
	if err != nil {
		return nil, err
	}
	undo = append(undo, log.Close)
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	undo = append(undo, conn.Close)

	cmd := exec.Command(self, OwnServerCommand)
	cmd.Dir = "/"
	cmd.Stderr = log
	cmd.ExtraFiles = append(devices.Files(), theirs) // see TakeInherited
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// The child has its own of theirs; while it is open here too, nobody would
	// be told of the child's end.
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		return nil, err
	}
	o := &Own{Client: newClient(conn), devices: devices, server: cmd.Process, log: log, ended: make(chan struct{})}
	go func() {
		o.status = cmd.Wait()
		close(o.ended)
	}()
	return o, nil
}

// socketPair makes two connected stream sockets.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "control")
	file := os.NewFile(uintptr(fds[0]), "control")
	ours, err = net.FileConn(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("socketpair: %w", err), theirs.Close())
	}
	return ours, theirs, nil
}

// boundedLog gives a file in memory that takes logSize bytes and refuses more:
// a terminal or a pipe could make who writes to it wait, and a reader in the
// container with it.
func boundedLog() (*os.File, error) {
	fd, err := unix.MemfdCreate("procfs-shim-log", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("log: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "own server's log")
	err = f.Truncate(logSize)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log: %w", err), f.Close())
	}
	return f, nil
}

// Mount mounts the server's trees below target, an empty directory in the calling
// thread's mount namespace, and closes their devices. Register then gives
// directories below target. When it fails nothing is mounted.
func (o *Own) Mount(target string) error {
	o.target = target
	return o.devices.Mount(target)
}

// Unmount undoes Mount. Files of the trees that are held elsewhere stay.
func (o *Own) Unmount() error { return o.devices.Unmount(o.target) }

// Register makes the container known to the server, as Client.Register does.
func (o *Own) Register(ctx context.Context, r Registration) (Registered, error) {
	registered, err := o.Client.Register(ctx, r)
	if err != nil {
		return Registered{}, o.explain(err)
	}
	registered.Dir = filepath.Join(o.target, boundName, registered.Dir)
	registered.Static = filepath.Join(o.target, staticName, registered.Static)
	return registered, nil
}

// explain adds to an error what a server that has ended said last.
func (o *Own) explain(err error) error {
	var answered *Error
	if errors.As(err, &answered) {
		return err
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-o.ended:
		status := "exit status 0"
		if o.status != nil {
			status = o.status.Error()
		}
		return fmt.Errorf("own server: ended early: %w: %s: %s", err, status, lastLine(o.Log()))
	case <-timer.C:
		return err
	}
}

// Log gives what the server has logged so far, at most 64 KiB of it.
func (o *Own) Log() string {
	text := make([]byte, logSize)
	n, err := o.log.ReadAt(text, 0)
	if err != nil && n == 0 {
		return ""
	}
	return strings.TrimRight(string(text[:n]), "\x00")
}

func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Close ends the server, and the container if it is still registered, and
// waits for that, but not for ever: a frozen container dies when it is thawed.
// Mounts are the caller's to unmount.
func (o *Own) Close() error {
	var err error
	o.close.Do(func() {
		err = errors.Join(o.Client.Close(), o.devices.Close())
		timer := time.NewTimer(ownEndLimit)
		defer timer.Stop()
		select {
		case <-o.ended:
			// ECHILD: a subreaper that waits for every child was faster.
			if o.status != nil && !errors.Is(o.status, unix.ECHILD) {
				err = errors.Join(err, fmt.Errorf("own server: %w: %s", o.status, lastLine(o.Log())))
			}
		case <-timer.C:
			err = errors.Join(err, fmt.Errorf("own server: has not ended within %v; it does when the container's processes have", ownEndLimit))
		}
		err = errors.Join(err, o.log.Close())
	})
	return err
}
