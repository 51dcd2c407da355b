// SPDX-License-Identifier: Apache-2.0

package container

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memfdName shows in /proc/PID/exe of init: "/memfd:procfs-shim (deleted)".
const memfdName = "procfs-shim"

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// sealTries is how often sealing is tried: for some seconds.
const sealTries = 60

// sealedProgram opens a copy of this program that nobody can write to any more.
// Init is executed from it: a container can open /proc/PID/exe of whatever
// process of ours it gets to see, and would overwrite the program on the host's
// disk with it, for every later start to execute (CVE-2019-5736).
func sealedProgram(proc string) (*os.File, error) {
	self, err := os.Open(filepath.Join(proc, "self/exe"))
	if err != nil {
		return nil, fmt.Errorf("open the program: %w", err)
	}
	// We may be running from such a copy ourselves.
	if seals, err := unix.FcntlInt(self.Fd(), unix.F_GET_SEALS, 0); err == nil && seals&allSeals == allSeals {
		return self, nil
	}
	defer func() { _ = self.Close() }()
	// MFD_EXEC says that it is meant to be executed, and is unknown before Linux
	// 6.3, which didn't ask.
	fd, err := unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("copy the program: memfd_create: %w", err)
	}
	sealed := os.NewFile(uintptr(fd), memfdName)
	if err := copyAndSeal(sealed, self); err != nil {
		_ = sealed.Close()
		return nil, fmt.Errorf("copy the program: %w", err)
	}
	return sealed, nil
}

func copyAndSeal(to, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	for left := info.Size(); left > 0; {
		n, err := unix.Sendfile(int(to.Fd()), int(from.Fd()), nil, int(min(left, 1<<30)))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sendfile: %w", err)
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		left -= int64(n)
	}
	if err := unix.Fchmod(int(to.Fd()), 0o755); err != nil {
		return err
	}
	// EBUSY: another CPU still holds a reference to one of the pages that were
	// just written. The kernel itself waits 75 ms for that (mm/memfd.c,
	// memfd_wait_for_pins), which a busy machine needs more than once.
	for range sealTries {
		if _, err = unix.FcntlInt(to.Fd(), unix.F_ADD_SEALS, allSeals); !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// interpreter is the dynamic loader that the program needs where it is
// executed, "" if it is statically linked, as `make build` makes it (elf(5)).
func interpreter(program *os.File) (string, error) {
	f, err := elf.NewFile(program)
	if err != nil {
		return "", fmt.Errorf("%s: %w", program.Name(), err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(p.Open(), unix.PathMax))
		if err != nil {
			return "", fmt.Errorf("%s: %w", program.Name(), err)
		}
		return unix.ByteSliceToString(text), nil
	}
	return "", nil
}

// canReap says why a PID 1 of ours could not be executed in a container whose
// root file system is made of these directories. It is executed there when the
// host's files are out of reach.
func canReap(program *os.File, roots ...string) error {
	loader, err := interpreter(program)
	if err != nil || loader == "" {
		return err
	}
	for _, root := range roots {
		if err = isIn(root, loader); err == nil {
			return nil
		}
	}
	return fmt.Errorf("init in the container: this build of the program is dynamically linked and needs %s there: %w "+
		"(build it with CGO_ENABLED=0)", loader, err)
}

// isIn says why path isn't there with root as the root directory.
func isIn(root, path string) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("root file system: %s: %w", root, err)
	}
	defer func() { _ = unix.Close(dir) }()
	found, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return err
	}
	return unix.Close(found)
}
