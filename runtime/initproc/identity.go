// SPDX-License-Identifier: Apache-2.0

package initproc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// defaultUmask is what a process starts with where the config doesn't say.
const defaultUmask = 0o022

// become gives the calling thread the user, rights and working directory of
// the config's process.
func (p *process) become() error {
	proc := p.spec.Process
	// First as root, which may enter what the user may not; where that is the
	// other way round (a network file system), once more as the user.
	chdirErr := enter(proc.Cwd)
	if chdirErr != nil && !errors.Is(chdirErr, unix.EACCES) {
		return chdirErr
	}
	if proc.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no_new_privs: %w", err)
		}
	}
	if err := ownPipes(int(proc.User.UID)); err != nil {
		return err
	}
	if err := p.switchUser(); err != nil {
		return err
	}
	// A change of user disarmed it (prctl(2)). If the parent died meanwhile, the
	// socket says so when we ask it to let us start.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent-death signal: %w", err)
	}
	if chdirErr != nil {
		if err := enter(proc.Cwd); err != nil {
			return err
		}
	}
	umask := defaultUmask
	if proc.User.Umask != nil {
		umask = int(*proc.User.Umask)
	}
	unix.Umask(umask)
	return nil
}

// ownPipes gives the standard streams that are pipes to the container's user,
// since programs open /dev/stdout again by its name, which checks the owner.
// Files and terminals of the caller stay as they are.
func ownPipes(uid int) error {
	for fd := range 3 {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("standard stream %d: %w", fd, err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFIFO || int(st.Uid) == uid {
			continue
		}
		if err := unix.Fchown(fd, uid, -1); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EROFS) {
			return fmt.Errorf("standard stream %d: set owner: %w", fd, err)
		}
	}
	return nil
}

// enter changes to the working directory and makes sure that it lies below the
// root: a config can name a directory through a descriptor of ours
// (CVE-2024-21626), and the kernel's getcwd tells it by "(unreachable)".
func enter(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("working directory: %s: %w", dir, err)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	if err != nil {
		return fmt.Errorf("working directory: %s: getcwd: %w", dir, err)
	}
	if n == 0 || buf[0] != '/' {
		return fmt.Errorf("working directory: %s: lies outside of the container", dir)
	}
	return nil
}

// switchUser sets user, groups and the five capability sets, all of the
// calling thread alone: package syscall would do it to every thread, and only
// this one survives execve.
func (p *process) switchUser() error {
	user := p.spec.Process.User
	want := p.grantable(p.spec.Process.Capabilities)
	caps, err := capability.NewPid2(0)
	if err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for kind, list := range want {
		caps.Set(kind, list...)
	}
	// Dropping from the bounding set needs CAP_SETPCAP, so it comes first.
	if err := caps.Apply(capability.BOUNDING); err != nil {
		return fmt.Errorf("capabilities: bounding set: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := setIDs(user); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := caps.Apply(capability.CAPS); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := caps.Apply(capability.AMBIENT); err != nil {
		return fmt.Errorf("capabilities: ambient set: %w", err)
	}
	return nil
}

func setIDs(user specs.User) error {
	groups := user.AdditionalGids
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0); errno != 0 {
		return fmt.Errorf("additional groups: %w", errno)
	}
	gid, uid := uintptr(user.GID), uintptr(user.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return fmt.Errorf("group %d: %w", user.GID, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("user %d: %w", user.UID, errno)
	}
	return nil
}

// grantable turns the config's names into capabilities and leaves out, with a
// warning, what the kernel doesn't know or we don't have ourselves: config.md
// wants a log entry for these, not a failure.
func (p *process) grantable(c *specs.LinuxCapabilities) map[capability.CapType][]capability.Cap {
	if c == nil {
		c = &specs.LinuxCapabilities{}
	}
	known := map[string]capability.Cap{}
	for _, one := range capability.ListKnown() {
		known["CAP_"+strings.ToUpper(one.String())] = one
	}
	var refused []string
	pick := func(names []string, within func(capability.Cap) bool) []capability.Cap {
		var list []capability.Cap
		for _, name := range names {
			one, ok := known[name]
			if ok && within(one) {
				list = append(list, one)
			} else if !slices.Contains(refused, name) {
				refused = append(refused, name)
			}
		}
		return list
	}
	have := ownCapabilities()
	permitted := pick(c.Permitted, have)
	inheritable := pick(c.Inheritable, have)
	in := func(list []capability.Cap) func(capability.Cap) bool {
		return func(one capability.Cap) bool { return slices.Contains(list, one) }
	}
	want := map[capability.CapType][]capability.Cap{
		capability.BOUNDING:    pick(c.Bounding, inBoundingSet),
		capability.PERMITTED:   permitted,
		capability.INHERITABLE: inheritable,
		capability.EFFECTIVE:   pick(c.Effective, in(permitted)),
		// capabilities(7): ambient ones are both permitted and inheritable.
		capability.AMBIENT: pick(c.Ambient, func(one capability.Cap) bool {
			return in(permitted)(one) && in(inheritable)(one)
		}),
	}
	if len(refused) > 0 {
		p.warn("capabilities that can't be granted: %s", strings.Join(refused, ", "))
	}
	return want
}

func inBoundingSet(c capability.Cap) bool {
	has, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0, 0)
	return errno == 0 && has == 1
}

// ownCapabilities tells which capabilities the calling thread is permitted.
func ownCapabilities() func(capability.Cap) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return func(capability.Cap) bool { return false }
	}
	return func(c capability.Cap) bool {
		return c >= 0 && int(c) < 64 && data[c/32].Permitted&(1<<(c%32)) != 0
	}
}
