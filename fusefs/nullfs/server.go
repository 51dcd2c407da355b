// SPDX-License-Identifier: Apache-2.0

package nullfs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs"
)

// name is the source of the mount, as /proc/PID/mountinfo shows it.
const name = "procfs-shim-null"

// endLimit is how long Close waits for the kernel to be done with a mount that
// others may hold files of.
const endLimit = time.Second

// What package fusefs says to go-fuse; a test compares.
const (
	maxRead     = 128 << 10
	maxInFlight = 64
)

// A Server is a mounted tree of constant files.
type Server struct {
	fs         *filesystem
	mountpoint string
	ended      chan struct{} // closed when there is nothing left to serve
}

// Mount mounts an empty tree on the directory mountpoint, in the calling
// thread's mount namespace, and serves it until Close. Nobody should read it in
// this process: see fusefs.Serve.
func Mount(mountpoint string) (*Server, error) {
	dev, err := fusefs.OpenDevice()
	if err != nil {
		return nil, err
	}
	// go-fuse takes a mounted descriptor by this name, and owns what it is given:
	// a duplicate.
	fd, err := unix.FcntlInt(dev.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err == nil {
		err = fusefs.MountDeviceAs(fusefs.MountName{Source: name, Type: "fuse." + name}, dev, mountpoint)
	}
	// The connection is to end with the server, not with our descriptor.
	if err := errors.Join(err, dev.Close()); err != nil {
		return nil, fmt.Errorf("null server: %w", err)
	}
	s := &Server{fs: newFilesystem(), mountpoint: mountpoint, ended: make(chan struct{})}
	server, err := fuse.NewServer(s.fs, "/dev/fd/"+strconv.Itoa(fd), options())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("null server: %s: %w", mountpoint, err), s.unmount())
	}
	go func() {
		server.Serve()
		close(s.ended)
	}()
	return s, nil
}

// Set gives the tree its files, by paths such as "proc/meminfo", once.
func (s *Server) Set(files map[string]string) error {
	for file := range files {
		if !fs.ValidPath(file) || file == "." {
			return fmt.Errorf("null server: %q is no path below a directory", file)
		}
		for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
			if _, taken := files[dir]; taken {
				return fmt.Errorf("null server: %q is a file and a directory", dir)
			}
		}
	}
	s.fs.tree.Store(newTree(files))
	return nil
}

// Close unmounts the tree and waits until nobody holds a file of it any more,
// for a second at most.
func (s *Server) Close() error {
	err := s.unmount()
	select {
	case <-s.ended:
	case <-time.After(endLimit):
	}
	return err
}

func (s *Server) unmount() error {
	if err := unix.Unmount(s.mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("null server: unmount %s: %w", s.mountpoint, err)
	}
	return nil
}

func options() *fuse.MountOptions {
	return &fuse.MountOptions{
		Name: name, FsName: name,
		MaxWrite:                maxRead,
		MaxInflightRequestBytes: maxInFlight * (maxRead + 8<<10),
		Logger:                  slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		IDMappedMount:           true,
		DisableXAttrs:           true,
		DisableReadDirPlus:      true,
		DisableSplice:           true,
		DisabledCapabilities:    fuse.CAP_PASSTHROUGH,
	}
}
