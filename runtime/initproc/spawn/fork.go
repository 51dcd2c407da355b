// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxFiles   = 8
	maxRlimits = 16
	lastSignal = 64
)

// The steps of the child, as they travel through the report pipe.
const (
	stepDeath = iota
	stepSession
	stepGroup
	stepTerminal
	stepFiles
	stepRlimits
	stepSignals
	stepExec
)

func stepName(step uint64) string {
	names := [...]string{
		stepDeath:    "prctl(PR_SET_PDEATHSIG)",
		stepSession:  "setsid",
		stepGroup:    "setpgid",
		stepTerminal: "ioctl(TIOCSPGRP)",
		stepFiles:    "dup3",
		stepRlimits:  "prlimit",
		stepSignals:  "rt_sigprocmask",
		stepExec:     "execve",
	}
	if step < uint64(len(names)) {
		return names[step]
	}
	return "unknown step"
}

// cloneArgs is struct clone_args of linux/sched.h, version 2 (Linux 5.7).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

// sigaction is the kernel's struct with room for every architecture's: all
// zero means SIG_DFL, no flags, an empty mask.
type sigaction [4]uint64

// plan is all that the child needs. It lives on the heap and its addresses are
// taken before the fork.
type plan struct {
	clone  cloneArgs
	pidfd  int32
	report uintptr

	death                      uintptr
	session, group, foreground bool

	files  [maxFiles]uintptr
	nFiles int

	rlimits   [maxRlimits]Rlimit
	nRlimits  int
	exe       uintptr // descriptor for execveat, or noExe
	path      *byte
	argv      **byte
	envp      **byte
	empty     [8]byte
	emptyMask uint64
	dfl       sigaction
	pid       int32
	failure   [2]uint64
}

const noExe = ^uintptr(0)

// prepare fills a plan; release closes the descriptors that it opened.
func prepare(c Command) (p *plan, release func(), err error) {
	var opened []int
	release = func() {
		for _, fd := range opened {
			_ = unix.Close(fd)
		}
	}
	lift := func(f *os.File) (uintptr, error) {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, firstFree)
		if err != nil {
			return 0, fmt.Errorf("duplicate descriptor of %s: %w", f.Name(), err)
		}
		opened = append(opened, fd)
		return uintptr(fd), nil
	}
	p = &plan{
		exe:        noExe,
		death:      uintptr(c.ParentDeath),
		session:    c.Session,
		group:      c.Group,
		foreground: c.Group && c.Foreground,
		nFiles:     len(c.Files),
		nRlimits:   len(c.Rlimits),
	}
	copy(p.rlimits[:], c.Rlimits)
	for i, f := range c.Files {
		if p.files[i], err = lift(f); err != nil {
			return nil, release, err
		}
	}
	if c.Executable != nil {
		if p.exe, err = lift(c.Executable); err != nil {
			return nil, release, err
		}
	} else if p.path, err = unix.BytePtrFromString(c.Path); err != nil {
		return nil, release, fmt.Errorf("%q: %w", c.Path, err)
	}
	argv, err := syscall.SlicePtrFromStrings(c.Args)
	if err != nil {
		return nil, release, fmt.Errorf("arguments: %w", err)
	}
	envp, err := syscall.SlicePtrFromStrings(c.Env)
	if err != nil {
		return nil, release, fmt.Errorf("environment: %w", err)
	}
	p.argv, p.envp = &argv[0], &envp[0]

	p.clone.flags = c.Namespaces | unix.CLONE_PIDFD
	p.clone.pidfd = uint64(uintptr(unsafe.Pointer(&p.pidfd)))
	p.clone.exitSignal = uint64(unix.SIGCHLD)
	if c.Cgroup != nil {
		fd, err := lift(c.Cgroup)
		if err != nil {
			return nil, release, err
		}
		p.clone.flags |= unix.CLONE_INTO_CGROUP
		p.clone.cgroup = uint64(fd)
	}
	return p, release, nil
}

// fork clones and, in the child, does not return. See the package comment for
// what may stand here: after the clone nothing but raw system calls.
//
//go:noinline
//go:norace
//go:nosplit
func fork(p *plan) (pid uintptr, errno unix.Errno) {
	pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&p.clone)), unsafe.Sizeof(p.clone), 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}

	step := uint64(stepDeath)
	if p.death != 0 {
		if _, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, p.death, 0, 0, 0, 0); errno != 0 {
			goto failed
		}
	}
	for sig := uintptr(1); sig <= lastSignal; sig++ {
		// SIGKILL and SIGSTOP answer EINVAL.
		_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&p.dfl)), 0, 8, 0, 0)
	}
	step = stepSession
	if p.session {
		if _, _, errno = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); errno != 0 {
			goto failed
		}
	}
	step = stepFiles
	for i := 0; i < p.nFiles && i < maxFiles; i++ {
		if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, p.files[i], uintptr(i), 0); errno != 0 {
			goto failed
		}
	}
	step = stepGroup
	if p.group {
		if _, _, errno = syscall.RawSyscall(unix.SYS_SETPGID, 0, 0, 0); errno != 0 {
			goto failed
		}
	}
	step = stepTerminal
	if p.foreground {
		// SIGTTOU is blocked, so a background group may do this.
		pid, _, _ = syscall.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
		p.pid = int32(pid)
		if _, _, errno = syscall.RawSyscall(unix.SYS_IOCTL, 0, unix.TIOCSPGRP, uintptr(unsafe.Pointer(&p.pid))); errno != 0 {
			goto failed
		}
	}
	step = stepRlimits
	for i := 0; i < p.nRlimits && i < maxRlimits; i++ {
		r := &p.rlimits[i]
		if _, _, errno = syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(r.Resource), uintptr(unsafe.Pointer(&r.Rlimit)), 0, 0, 0); errno != 0 {
			goto failed
		}
	}
	step = stepSignals
	if _, _, errno = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&p.emptyMask)), 0, 8, 0, 0); errno != 0 {
		goto failed
	}
	step = stepExec
	if p.exe != noExe {
		_, _, errno = syscall.RawSyscall6(unix.SYS_EXECVEAT, p.exe, uintptr(unsafe.Pointer(&p.empty)),
			uintptr(unsafe.Pointer(p.argv)), uintptr(unsafe.Pointer(p.envp)), unix.AT_EMPTY_PATH, 0)
	} else {
		_, _, errno = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)),
			uintptr(unsafe.Pointer(p.argv)), uintptr(unsafe.Pointer(p.envp)))
	}

failed:
	p.failure[0], p.failure[1] = step, uint64(errno)
	_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, p.report, uintptr(unsafe.Pointer(&p.failure)), unsafe.Sizeof(p.failure))
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 253, 0, 0)
	}
}
