// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// license is the program's; it calls nothing that the kernel keeps for GPL.
const license = "Apache-2.0\x00"

// loadAttr, attachAttr, queryAttr and openAttr are the beginnings of union
// bpf_attr for the commands we use; the kernel takes the rest as zero. Their
// pointers are pointers to Go too, so that what they point at stays where it
// is; that makes them right on 64 bit only.
type loadAttr struct {
	kind     uint32
	count    uint32
	text     unsafe.Pointer
	license  unsafe.Pointer
	logLevel uint32
	logSize  uint32
	log      unsafe.Pointer
}

const _ = uint(unsafe.Sizeof(loadAttr{}) - 40) // doesn't compile on 32 bit

type attachAttr struct {
	target  uint32
	program uint32
	kind    uint32
	flags   uint32
	replace uint32
}

type queryAttr struct {
	target uint32
	kind   uint32
	flags  uint32
	result uint32
	ids    unsafe.Pointer
	count  uint32
	_      uint32
}

type openAttr struct{ id, next, flags uint32 }

// Attach limits the devices of the cgroup in dir, a directory of cgroup2, to
// the rules. Programs that an earlier call attached there are replaced, in one
// step if it is one (Linux 5.6); those of parents stay in force as well. It
// needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN.
func Attach(dir string, rules []specs.LinuxDeviceCgroup) error {
	if err := attach(dir, rules); err != nil {
		return fmt.Errorf("cgroup: limit devices: %s: %w", dir, err)
	}
	return nil
}

func attach(dir string, rules []specs.LinuxDeviceCgroup) error {
	text, err := Compile(rules)
	if err != nil {
		return err
	}
	cgroup, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = cgroup.Close() }()
	target := uint32(cgroup.Fd())

	old, err := attached(target)
	if err != nil {
		return err
	}
	defer closeAll(old)
	program, err := load(text)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(program) }()

	a := attachAttr{target: target, program: uint32(program), kind: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI}
	if len(old) == 1 {
		a.flags |= unix.BPF_F_REPLACE
		a.replace = uint32(old[0])
	}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
		return fmt.Errorf("attach the program: %w", err)
	}
	if len(old) < 2 {
		return nil
	}
	for _, fd := range old {
		d := attachAttr{target: target, program: uint32(fd), kind: unix.BPF_CGROUP_DEVICE}
		if _, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&d), unsafe.Sizeof(d)); err != nil {
			return fmt.Errorf("detach an earlier program: %w", err)
		}
	}
	return nil
}

// attached opens the programs of this cgroup itself.
func attached(target uint32) ([]int, error) {
	ids := make([]uint32, 64) // BPF_CGROUP_MAX_PROGS
	q := queryAttr{
		target: target, kind: unix.BPF_CGROUP_DEVICE,
		ids: unsafe.Pointer(&ids[0]), count: uint32(len(ids)),
	}
	_, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&q), unsafe.Sizeof(q))
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return nil, fmt.Errorf("%w (this kernel is built without CONFIG_CGROUP_BPF)", err)
	case err != nil:
		return nil, fmt.Errorf("list the programs: %w", err)
	}
	var fds []int
	for _, id := range ids[:q.count] {
		o := openAttr{id: id}
		fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&o), unsafe.Sizeof(o))
		if errors.Is(err, unix.ENOENT) {
			continue // gone since
		}
		if err != nil {
			closeAll(fds)
			return nil, fmt.Errorf("open program %d: %w", id, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// load gives the program to the kernel.
func load(text []byte) (int, error) {
	fd, err := tryLoad(text, nil)
	if errors.Is(err, unix.EPERM) {
		// Before Linux 5.11 programs count as locked memory, of which root's
		// processes together may have RLIMIT_MEMLOCK of the one that asks.
		fd, err = withoutMemlock(func() (int, error) { return tryLoad(text, nil) })
	}
	if err == nil {
		return fd, nil
	}
	log := make([]byte, 64<<10)
	if _, again := tryLoad(text, log); again != nil && log[0] != 0 {
		return -1, fmt.Errorf("load the program: %w: %s", err, cString(log))
	}
	return -1, fmt.Errorf("load the program: %w", err)
}

func tryLoad(text, log []byte) (int, error) {
	name := []byte(license)
	a := loadAttr{
		kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(text) / 8),
		text: unsafe.Pointer(&text[0]), license: unsafe.Pointer(&name[0]),
	}
	if log != nil {
		a.logLevel, a.logSize, a.log = 1, uint32(len(log)), unsafe.Pointer(&log[0])
	}
	return bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

// withoutMemlock calls f with no limit for locked memory and puts the limit
// back, which the container will inherit.
func withoutMemlock(f func() (int, error)) (int, error) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		return -1, err
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
		return -1, fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	fd, err := f()
	if rerr := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old); rerr != nil && err == nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("restore the limit of locked memory: %w", rerr)
	}
	return fd, err
}

// bpf is bpf(2); descriptors that it returns are close-on-exec.
func bpf(command int, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
		switch errno {
		case 0:
			return int(fd), nil
		case unix.EINTR, unix.EAGAIN:
		default:
			return -1, errno
		}
	}
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
