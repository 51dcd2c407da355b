// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/failure"
)

// maxInFlight bounds how many requests are read and not yet answered, those
// that go-fuse's readers wait for included. A request past it waits in the
// kernel. Each costs a goroutine, a thread while it is in a system call, and
// some maxRead bytes of buffers.
const maxInFlight = 64

// A Server answers one FUSE device.
type Server struct {
	ready chan struct{} // closed when the kernel's INIT is answered
	done  chan struct{} // closed at the end
	quit  chan struct{} // closed by Close
	once  sync.Once
	err   error // set before done is closed
}

// Serve answers the requests of dev with tree until the file system is
// unmounted, in goroutines of its own. dev is a descriptor that OpenDevice
// gave in this process or another; it may be mounted already or be mounted
// later, by any process. Serve works on a duplicate: dev stays the caller's,
// who closes it once it is neither to be mounted nor handed on.
//
// No thread of this process may use a path below the mount while it is
// mounted: a page fault or a stop of the world at the wrong moment would make
// it wait for itself.
func Serve(tree Tree, dev *os.File) (*Server, error) {
	fd, err := unix.FcntlInt(dev.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("serve: %s: duplicate: %w", device, err)
	}
	// Whoever handed it on may have made it non-blocking; readers must block.
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd) // the first error is the one to report
		return nil, fmt.Errorf("serve: %s: %w", device, err)
	}
	s := &Server{ready: make(chan struct{}), done: make(chan struct{}), quit: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = s.serve(newFilesystem(tree), fd)
	}()
	return s, nil
}

// Ready is closed when the file system is mounted and its first request has
// been answered.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Wait returns when the file system was unmounted or its connection aborted
// (both nil), when Close gave up waiting for a mount (nil), or when the
// device can't be served.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Close gives up on a device that was never mounted. A mounted one is ended by
// its unmounting only.
func (s *Server) Close() { s.once.Do(func() { close(s.quit) }) }

// serve waits for the mount and answers it. It closes fd.
func (s *Server) serve(fs *filesystem, fd int) error {
	mounted, err := s.waitMounted(fd)
	if err != nil || !mounted {
		return errors.Join(err, unix.Close(fd))
	}
	// go-fuse takes a descriptor that is mounted already by this name, and owns
	// it from here on.
	server, err := fuse.NewServer(fs, "/dev/fd/"+strconv.Itoa(fd), options(fs.host.log))
	if err != nil {
		return fmt.Errorf("serve: %s: %w", device, err)
	}
	close(s.ready)
	server.Serve()
	return nil
}

// waitMounted waits until the device is mounted; false when Close was called
// first. There is no event for it (poll(2) on a device that isn't mounted
// returns at once), so it looks again and again, ever more rarely.
func (s *Server) waitMounted(fd int) (bool, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		// A read with no room for a request is EPERM on a device without a
		// mount and EINVAL on one with, and takes nothing from the queue.
		var tooSmall [1]byte
		_, err := unix.Read(fd, tooSmall[:])
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENODEV):
			return true, nil
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		default:
			return false, fmt.Errorf("serve: %s: wait for its mount: %w", device, err)
		}
		select {
		case <-s.quit:
			return false, nil
		case <-time.After(pause):
		}
	}
}

// options are how go-fuse is asked to behave.
func options(log *slog.Logger) *fuse.MountOptions {
	// What go-fuse logs, a reader can provoke at will: for debugging only.
	logger := slog.NewLogLogger(log.With("from", "go-fuse").Handler(), slog.LevelDebug)
	var panics sync.Once
	return &fuse.MountOptions{
		Name: OurName().Source, FsName: OurName().Source,
		MaxWrite:                maxRead,
		MaxInflightRequestBytes: maxInFlight * (maxRead + 8<<10),
		Logger:                  logger,
		// The pods of Kubernetes with user namespaces of their own take volumes,
		// and so our files, through idmapped mounts.
		IDMappedMount: true,
		DisableXAttrs: true,
		// There are no lookup counts to be had from listings, and `ls -l` of a
		// dozen files may ask for each.
		DisableReadDirPlus: true,
		// Texts are written from memory.
		DisableSplice: true,
		// A mount that others' overlays lie on must not count as stacked.
		DisabledCapabilities: fuse.CAP_PASSTHROUGH,
		PanicHandler: func(p any) fuse.Status {
			panics.Do(func() {
				log.Error("internal error in a file system request; this is logged once", "error", p, "stack", string(debug.Stack()))
			})
			return status(failure.ErrPanic)
		},
	}
}
