// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Process is one running process, held so that its PID can't come to mean
// another: open it, check that it is the one that is meant, then act.
type Process struct {
	pid      int
	pidfd    *os.File
	proc     *os.File // /proc/PID: after the process' end it gives ESRCH, never another process
	root     *os.File // its root directory, in its mount namespace
	hostPeer map[string]bool
}

// Open holds the process pid, as procRoot (the host's procfs, "/proc") numbers
// it. It refuses one in the host's or the caller's own mount namespace with
// ErrHostNamespace.
func Open(procRoot string, pid int) (*Process, error) {
	p := &Process{pid: pid}
	if err := p.open(procRoot); err != nil {
		p.Close()
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return p, nil
}

func (p *Process) open(procRoot string) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return ErrGone
		}
		return fmt.Errorf("pidfd: %w", err)
	}
	p.pidfd = os.NewFile(uintptr(fd), "pidfd")
	name := filepath.Join(procRoot, strconv.Itoa(p.pid))
	if p.proc, err = openDir(unix.AT_FDCWD, name); err != nil {
		return p.cause(err)
	}
	// Both were taken by number. As long as the one is alive, the number was its own all along.
	if !p.alive() {
		return ErrGone
	}
	ns, err := p.readlink("ns/mnt")
	if err != nil {
		return p.cause(err)
	}
	p.hostPeer = map[string]bool{}
	for _, other := range []string{"thread-self", "1"} {
		err := p.compare(filepath.Join(procRoot, other), ns)
		// Init is closed to us where it has capabilities that we lack. Then our own
		// namespace stands for the host's, which it nearly always is.
		if err != nil && !(other == "1" && errors.Is(err, os.ErrPermission)) {
			return err
		}
	}
	rootFD, err := unix.Openat(int(p.proc.Fd()), "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return p.cause(fmt.Errorf("open its root directory: %w", err))
	}
	p.root = os.NewFile(uintptr(rootFD), "root")
	return nil
}

// compare refuses a mount namespace that is also that of the process behind
// the /proc directory host, and collects the latter's peer groups.
func (p *Process) compare(host, ns string) error {
	theirs, err := os.Readlink(filepath.Join(host, "ns/mnt"))
	if err != nil {
		return fmt.Errorf("read the host's mount namespace: %w", err)
	}
	if theirs == ns {
		return ErrHostNamespace
	}
	f, err := os.Open(filepath.Join(host, "mountinfo"))
	if err != nil {
		return fmt.Errorf("read the host's mounts: %w", err)
	}
	defer f.Close()
	table, err := parseTable(f)
	if err != nil {
		return fmt.Errorf("read the host's mounts: %w", err)
	}
	for _, m := range table {
		if group := peerGroup(m); group != "" {
			p.hostPeer[group] = true
		}
	}
	return nil
}

// peerGroup returns the "shared:N" field of a mount, or "".
func peerGroup(m *mountinfo.Info) string {
	for f := range strings.FieldsSeq(m.Optional) {
		if strings.HasPrefix(f, "shared:") {
			return f
		}
	}
	return ""
}

// Close lets go of the process.
func (p *Process) Close() error {
	for _, f := range []*os.File{p.pidfd, p.proc, p.root} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

// alive tells whether the process exists, if only as a zombie.
func (p *Process) alive() bool {
	return !errors.Is(unix.PidfdSendSignal(int(p.pidfd.Fd()), 0, nil, 0), unix.ESRCH)
}

// cause replaces an error that comes from the process' end.
func (p *Process) cause(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) && !p.alive() {
		return ErrGone
	}
	return err
}

func (p *Process) readlink(name string) (string, error) {
	buf := make([]byte, 128)
	n, err := unix.Readlinkat(int(p.proc.Fd()), name, buf)
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, err)
	}
	return string(buf[:n]), nil
}

// mounts reads the process' mount table.
func (p *Process) mounts() ([]*mountinfo.Info, error) {
	fd, err := unix.Openat(int(p.proc.Fd()), "mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, p.cause(fmt.Errorf("read its mounts: %w", err))
	}
	f := os.NewFile(uintptr(fd), "mountinfo")
	defer f.Close()
	table, err := parseTable(f)
	if err != nil {
		return nil, fmt.Errorf("read its mounts: %w", err)
	}
	return table, nil
}

// dup copies p, for a thread that may outlive the caller's interest.
func (p *Process) dup() (*Process, error) {
	q := &Process{pid: p.pid, hostPeer: p.hostPeer}
	for _, f := range []struct{ from, to **os.File }{{&p.pidfd, &q.pidfd}, {&p.proc, &q.proc}, {&p.root, &q.root}} {
		c, err := dup(*f.from)
		if err != nil {
			q.Close()
			return nil, err
		}
		*f.to = c
	}
	return q, nil
}
