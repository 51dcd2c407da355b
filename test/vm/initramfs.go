// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed init.sh
var initScript string

// writeInitramfs writes the archive that the kernel unpacks as its first root,
// and returns its path. It is not compressed: an emulated CPU takes longer to
// unpack it than qemu takes to copy it.
func writeInitramfs(c Config, m machine) (file string, err error) {
	modules, err := resolve(filepath.Join(m.kernel, "modules"), c.Modules)
	if err != nil {
		return "", err
	}
	files := map[string]string{"/bin/busybox": m.busybox}
	maps.Copy(files, c.Files)
	var order strings.Builder
	for _, module := range modules {
		files["/modules/"+module+".ko"] = filepath.Join(m.kernel, "modules", module+".ko")
		order.WriteString(module + "\n")
	}

	file = filepath.Join(m.scratch, "initramfs")
	out, err := os.Create(file)
	if err != nil {
		return "", fmt.Errorf("vm: initramfs: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buffered := bufio.NewWriterSize(out, 1<<20)
	a := &archive{w: buffered, made: map[string]bool{"/": true}}
	a.text("/init", 0o755, initScript)
	a.text("/etc/guest", 0o644, "layout="+string(c.Cgroups)+"\nroot="+c.rootDevice()+"\n")
	a.text("/etc/script", 0o644, c.Script)
	a.text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	a.text("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
	a.text("/etc/hostname", 0o644, "guest\n")
	a.text("/modules/order", 0o644, order.String())
	a.directory("/root")
	a.directory("/dev")
	// The kernel opens it for init before devtmpfs is there.
	a.entry("/dev/console", modeCharDevice|0o600, device{5, 1}, 0, nil)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		a.file(name, files[name])
	}
	a.entry("TRAILER!!!", 0, device{}, 0, nil)
	if a.err != nil {
		return "", fmt.Errorf("vm: initramfs: %w", a.err)
	}
	if err := buffered.Flush(); err != nil {
		return "", fmt.Errorf("vm: initramfs: %w", err)
	}
	return file, nil
}

// File types of st_mode, inode(7).
const (
	modeCharDevice = 0o020000
	modeDirectory  = 0o040000
	modeRegular    = 0o100000
)

type device struct{ major, minor uint32 }

// archive writes the "newc" cpio format of the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst. Its first error
// stays; calls after it do nothing.
type archive struct {
	w    io.Writer
	at   int64           // bytes written
	ino  uint32          // last inode number given: equal ones would be hard links
	made map[string]bool // directories that are there
	err  error
}

// entry writes one header, with size bytes from body behind it.
func (a *archive) entry(name string, mode uint32, dev device, size int64, body io.Reader) {
	if a.err != nil {
		return
	}
	if name = strings.TrimPrefix(name, "/"); name == "" {
		return
	}
	if dir := path.Dir(name); dir != "." {
		a.directory("/" + dir)
	}
	if size >= 1<<32 {
		a.err = fmt.Errorf("%s: %d bytes are more than the format can hold", name, size)
		return
	}
	a.ino++
	fields := []uint32{
		a.ino, mode, 0, 0, 1, 0, uint32(size), // ino mode uid gid nlink mtime filesize
		0, 0, dev.major, dev.minor, uint32(len(name) + 1), 0, // dev rdev namesize check
	}
	a.print("070701")
	for _, field := range fields {
		a.print(fmt.Sprintf("%08x", field))
	}
	a.print(name + "\x00")
	a.pad()
	if body == nil {
		return
	}
	n, err := io.Copy(a.w, io.LimitReader(body, size))
	a.at += n
	if err == nil && n != size {
		err = fmt.Errorf("%s: %d of %d bytes: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	a.err = errors.Join(a.err, err)
	a.pad()
}

func (a *archive) print(s string) {
	if a.err == nil {
		var n int
		n, a.err = io.WriteString(a.w, s)
		a.at += int64(n)
	}
}

// pad aligns to four bytes, as headers and bodies are.
func (a *archive) pad() { a.print("\x00\x00\x00"[:-a.at&3]) }

// directory makes name and what is above it, once.
func (a *archive) directory(name string) {
	if name = path.Clean(name); !a.made[name] {
		a.made[name] = true
		a.entry(name, modeDirectory|0o755, device{}, 0, nil)
	}
}

func (a *archive) text(name string, mode uint32, text string) {
	a.entry(name, modeRegular|mode, device{}, int64(len(text)), strings.NewReader(text))
}

// file copies a regular file or a directory tree from this host.
func (a *archive) file(name, from string) {
	if a.err != nil {
		return
	}
	a.err = errors.Join(a.err, filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(below))
		if entry.IsDir() {
			a.directory(to)
			return a.err
		}
		return a.regular(to, at)
	}))
}

func (a *archive) regular(name, from string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %s is neither a regular file nor a directory", from, info.Mode())
	}
	a.entry(name, modeRegular|uint32(info.Mode().Perm()), device{}, info.Size(), file)
	return a.err
}
