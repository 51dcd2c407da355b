// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"fmt"
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// HasLinux32 says whether readers with the personality PER_LINUX32 see another
// cpuinfo than others: on arm64 they see that of a 32-bit kernel
// (arch/arm64/kernel/cpuinfo.c, c_show).
func HasLinux32() bool { return goruntime.GOARCH == "arm64" }

// readLinux32 is read as readers with the personality PER_LINUX32 do.
func (f *file) readLinux32(memory []byte) (text []byte, err error) {
	if failed := asLinux32(func() { text, err = f.read(memory) }); failed != nil {
		return nil, errorf("%s: %w", f.path, failed)
	}
	return text, err
}

// asLinux32 runs do in a thread with the personality PER_LINUX32. A thread whose
// own personality can't be restored is given up.
func asLinux32(do func()) error {
	const linux32 = 0x08 // PER_LINUX32 of linux/personality.h
	goruntime.LockOSThread()
	was, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, linux32, 0, 0)
	if errno != 0 {
		goruntime.UnlockOSThread()
		return fmt.Errorf("personality: %w", errno)
	}
	do()
	if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, was, 0, 0); errno != 0 {
		return fmt.Errorf("restore personality: %w", errno) // still locked: it ends with its goroutine
	}
	goruntime.UnlockOSThread()
	return nil
}
