// SPDX-License-Identifier: Apache-2.0

package initproc

import (
	"errors"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"runtime/debug"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/initproc/mounts"
)

const (
	// Command is the argument by which the program is told to be init.
	Command = "init"
	// SocketFD is where init finds its end of the socket.
	SocketFD = 3
	// exitFailure is init's status when it could not execute the command; the
	// parent has the reason from the message before.
	exitFailure = 125
)

// Main is `procfs-shim init`. It returns the status to end with; where all goes
// well it does not return.
func Main() int {
	goruntime.LockOSThread()
	if len(os.Args) > 2 && os.Args[2] == reapArgument {
		return reapMain()
	}
	// Short-lived: collecting garbage would only start more threads.
	debug.SetGCPercent(-1)
	// Whoever called the parent may have left descriptors open; none of them
	// may reach the container (CVE-2024-21626), and execve is far from here.
	if err := unix.CloseRange(SocketFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		if err := closeOnExec(); err != nil {
			fmt.Fprintf(os.Stderr, "procfs-shim: init: close descriptors: %v\n", err)
			return exitFailure
		}
	}
	conn := NewConn(os.NewFile(SocketFD, "parent"))
	m, files, err := conn.Receive()
	if errors.Is(err, io.EOF) {
		return exitFailure // the parent gave up or died; nothing to say to anybody
	}
	if err == nil && (m.Kind != KindSetup || m.Setup == nil || m.Setup.Spec == nil || len(files) != len(m.Setup.Views)) {
		err = fmt.Errorf("unexpected %q message with %d descriptors (is this not started by `procfs-shim run`?)", m.Kind, len(files))
	}
	if err == nil {
		err = (&process{conn: conn, setup: m.Setup, spec: m.Setup.Spec}).run(files)
	}
	if errors.Is(err, io.EOF) {
		return exitFailure
	}
	if sendErr := conn.Send(Message{Kind: KindFailed, Failure: failure(err)}); sendErr != nil {
		fmt.Fprintf(os.Stderr, "procfs-shim: init: %v (%v)\n", err, sendErr)
	}
	return exitFailure
}

// closeOnExec is close_range(2)'s CLOSE_RANGE_CLOEXEC before Linux 5.11.
func closeOnExec() error {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		var fd int
		if _, err := fmt.Sscan(name, &fd); err == nil && fd >= SocketFD {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// process is init between the setup message and execve.
type process struct {
	conn  *Conn
	setup *Setup
	spec  *specs.Spec
}

// run returns only when something failed: io.EOF when the parent is gone.
func (p *process) run(views []*os.File) error {
	unix.Umask(0) // modes are meant as they are written
	if err := p.namespaces(); err != nil {
		return err
	}
	var self *os.File
	if p.setup.Reaper {
		var err error
		if self, err = openSelf(); err != nil {
			return fmt.Errorf("init: open the program: %w", err)
		}
	}
	if err := p.tree(views); err != nil {
		return err
	}
	if err := p.become(); err != nil {
		return err
	}
	path, err := lookPath(p.spec.Process.Args[0], p.spec.Process.Env)
	if err != nil {
		return execError{fmt.Errorf("%s: %w", p.spec.Process.Args[0], err)}
	}
	if err := p.conn.Send(Message{Kind: KindReady}); err != nil {
		return io.EOF
	}
	m, _, err := p.conn.Receive()
	if err != nil {
		return err
	}
	if m.Kind != KindStart {
		return fmt.Errorf("init: expected %s, got %q", KindStart, m.Kind)
	}
	if self != nil {
		return p.executeReaper(self, path)
	}
	return p.execute(path)
}

// openSelf opens this program while the host's /proc can be reached, at a
// number that no descriptor for the reaper needs.
func openSelf() (*os.File, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, orderFD+1)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "program"), nil
}

func (p *process) warn(format string, args ...any) {
	// A parent that is gone is noticed where its answer is needed.
	_ = p.conn.Send(Message{Kind: KindWarning, Text: fmt.Sprintf(format, args...)})
}

// namespaces settles what belongs to the new namespaces but their mounts.
func (p *process) namespaces() error {
	if isNew(p.spec, specs.CgroupNamespace) {
		// Its root is the cgroup that we are in, so not before we were moved.
		if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
			return fmt.Errorf("cgroup namespace: %w", err)
		}
	}
	if p.spec.Hostname != "" {
		if err := unix.Sethostname([]byte(p.spec.Hostname)); err != nil {
			return fmt.Errorf("hostname: %s: %w", p.spec.Hostname, err)
		}
	}
	if p.spec.Domainname != "" {
		if err := unix.Setdomainname([]byte(p.spec.Domainname)); err != nil {
			return fmt.Errorf("domainname: %s: %w", p.spec.Domainname, err)
		}
	}
	if isNew(p.spec, specs.NetworkNamespace) {
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("bring lo up: %w", err)
		}
	}
	return nil
}

// isNew says whether the config asks for a new namespace of that type.
func isNew(spec *specs.Spec, kind specs.LinuxNamespaceType) bool {
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type == kind && ns.Path == "" {
			return true
		}
	}
	return false
}

// loopbackUp brings lo up in the calling thread's network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // these ioctls work on any
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// tree makes the mount namespace and enters it.
func (p *process) tree(views []*os.File) error {
	defer closeAll(views)
	plan := mounts.Plan{Spec: p.spec, Overlay: p.setup.Overlay, Cgroups: p.setup.Cgroups}
	for i, f := range views {
		plan.Views = append(plan.Views, attach.Tree{File: f, Destination: p.setup.Views[i]})
	}
	root, err := mounts.Open(plan)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.Fill(); err != nil {
		return err
	}
	if p.spec.Process.Terminal {
		if err := p.console(root); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
	}
	if err := root.Protect(); err != nil {
		return err
	}
	return root.Pivot()
}

// console makes a terminal of the container's own this session's, and its
// standard streams.
func (p *process) console(root *mounts.Root) error {
	master, slave, err := root.Console(p.spec.Process.ConsoleSize, p.spec.Process.User.UID)
	if err != nil {
		return err
	}
	defer func() { _ = master.Close() }()
	defer func() { _ = slave.Close() }()
	if err := p.conn.Send(Message{Kind: KindConsole}, master); err != nil {
		return io.EOF
	}
	for fd := range 3 {
		if err := unix.Dup3(int(slave.Fd()), fd, 0); err != nil {
			return fmt.Errorf("standard stream %d: %w", fd, err)
		}
	}
	if err := unix.IoctlSetInt(0, unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("take control of it: %w", err)
	}
	return nil
}
