// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// iocb is struct iocb of linux/aio_abi.h on little-endian machines.
type iocb struct {
	_      uint64 // data
	_, _   uint32 // key, rw_flags
	opcode uint16
	_      int16 // reqprio
	fd     uint32
	buf    uint64
	bytes  uint64
	offset int64
	_      uint64 // reserved
	_, _   uint32 // flags, resfd
}

// ioEvent is struct io_event.
type ioEvent struct {
	_, _   uint64 // data, obj
	result int64
	_      int64 // res2
}

// asynchronous: io_submit(2), which takes another way through the kernel than
// read(2), as io_uring's reads do.
func asynchronous(s *Subject, file string) error {
	want, err := whole(s.path(file))
	if err != nil {
		return err
	}
	return withOpen(s.path(file), func(fd int) error {
		var all strings.Builder
		buf := make([]byte, 64<<10)
		for {
			n, err := submitRead(fd, buf, int64(all.Len()))
			if errors.Is(err, unix.ENOSYS) {
				return nil // a kernel without it
			}
			if err != nil {
				return err
			}
			if n == 0 {
				return sameShape(all.String(), want)
			}
			all.Write(buf[:n])
		}
	})
}

// submitRead reads len(buf) bytes at offset with io_submit(2).
func submitRead(fd int, buf []byte, offset int64) (n int, failed error) {
	var context uintptr
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&context)), 0); errno != 0 {
		return 0, fmt.Errorf("io_setup: %w", errno)
	}
	defer func() {
		if _, _, errno := unix.Syscall(unix.SYS_IO_DESTROY, context, 0, 0); errno != 0 {
			failed = errors.Join(failed, fmt.Errorf("io_destroy: %w", errno))
		}
	}()
	const pread = 0 // IOCB_CMD_PREAD
	request := &iocb{opcode: pread, fd: uint32(fd), buf: uint64(uintptr(unsafe.Pointer(&buf[0]))), bytes: uint64(len(buf)), offset: offset}
	requests := []*iocb{request}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, context, 1, uintptr(unsafe.Pointer(&requests[0]))); errno != 0 {
		return 0, fmt.Errorf("io_submit: %w", errno)
	}
	var event ioEvent
	_, err := retryFD(func() (int, error) {
		n, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, context, 1, 1, uintptr(unsafe.Pointer(&event)), 0, 0)
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	})
	goruntime.KeepAlive(request)
	goruntime.KeepAlive(buf)
	if err != nil {
		return 0, fmt.Errorf("io_getevents: %w", err)
	}
	if event.result < 0 {
		return 0, fmt.Errorf("asynchronous read: %w", unix.Errno(-event.result))
	}
	return int(event.result), nil
}
