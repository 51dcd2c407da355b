// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// Layout names how the guest mounts its cgroup hierarchies; the values are
// those of testenv.CgroupLayout.
type Layout string

// The layouts that a guest can have.
const (
	// V2 is the unified hierarchy at /sys/fs/cgroup, all controllers enabled
	// for the root's children, as systemd does it.
	V2 Layout = "v2"
	// Hybrid has each version 1 controller in a hierarchy of its own below
	// /sys/fs/cgroup, and a unified one without controllers beside them.
	Hybrid Layout = "hybrid"
	// V1 is Hybrid without the unified hierarchy.
	V1 Layout = "v1"
)

// Config describes one machine and what it does.
type Config struct {
	// CPUs is the number of virtual CPUs, 2 when 0. More than the host has is
	// right, only slower.
	CPUs int
	// MemoryMB is the machine's memory in MiB, 1024 when 0. The files below
	// count against it, since they lie on a tmpfs.
	MemoryMB int
	// DiskMB adds a disk of this many MiB, empty, as /dev/vda.
	DiskMB int
	// Root is an ext4 image, as Tools returns, that becomes the root file system
	// in place of a tmpfs. What is written to it is gone with the machine.
	Root string
	// Cgroups is the layout, V2 when empty.
	Cgroups Layout
	// CmdLine is put at the end of the kernel's command line.
	CmdLine string
	// Modules are loaded at boot, with what they depend on, beside fuse,
	// overlay and, for a disk, virtio_blk. One that the kernel has built in is
	// left out.
	Modules []string
	// Files are copied into the guest: absolute path there → path here.
	// Their permissions come along; directories are made as needed.
	Files map[string]string
	// Skip is a pattern as of `go test -skip`, of tests that RunTests leaves out.
	Skip string
	// Script is run by busybox's sh as root, in /root. Its standard output and
	// error are Output.Text.
	Script string
	// QEMU are more arguments for qemu-system-x86_64, -numa … for one.
	QEMU []string
	// Timeout is how long boot, script and power-off may take, two minutes
	// when 0.
	Timeout time.Duration
	// Each is called with every line of output as it comes, if it isn't nil.
	Each func(line string)
}

// Output is what a machine did.
type Output struct {
	// Text is what the script wrote.
	Text string
	// Status is the script's exit status.
	Status int
	// Console is what the kernel and init.sh wrote.
	Console string
	// Took is the time from qemu's start to its end.
	Took time.Duration
}

// trailer stands before the exit status in the last line of the second serial
// port; init.sh writes it.
const trailer = "@@procfs-shim-vm-status "

// Run boots a machine, fails the test when it can't or when the script's exit
// status isn't 0, and returns what the script wrote. It needs qemu, busybox and
// the kernel, which scripts/install-test-deps brings.
func Run(t testing.TB, c Config) Output {
	t.Helper()
	out := run(t, c)
	if out.Status != 0 {
		t.Fatalf("vm: the script's exit status is %d; it wrote:\n%s\nconsole:\n%s", out.Status, out.Text, out.Console)
	}
	return out
}

// run is Run without an opinion on the exit status.
func run(t testing.TB, c Config) Output {
	t.Helper()
	qemu, busybox := testenv.RequireTool(t, "qemu-system-x86_64"), testenv.RequireTool(t, "busybox")
	kernel, err := Kernel(testenv.ModuleRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	c = c.withDefaults()
	ctx, cancel := context.WithTimeout(t.Context(), c.Timeout)
	defer cancel()
	out, err := boot(ctx, c, machine{qemu, busybox, kernel, t.TempDir()})
	if err != nil {
		t.Fatalf("%v; the script wrote:\n%s\nconsole:\n%s", err, out.Text, out.Console)
	}
	t.Logf("vm: %d CPUs, %d MiB, cgroup %s: %v", c.CPUs, c.MemoryMB, c.Cgroups, out.Took.Round(time.Millisecond))
	return out
}

func (c Config) withDefaults() Config {
	if c.CPUs == 0 {
		c.CPUs = 2
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = 1024
	}
	if c.Cgroups == "" {
		c.Cgroups = V2
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	c.Modules = append([]string{"fuse", "overlay"}, c.Modules...)
	if c.DiskMB > 0 || c.Root != "" {
		c.Modules = append(c.Modules, "virtio_pci", "virtio_blk")
	}
	return c
}

// Kernel returns the directory of the kernel to boot, below the cache
// directory; it is fetched when it isn't there.
func Kernel(moduleRoot string) (string, error) {
	var said strings.Builder
	fetch := exec.Command(filepath.Join(moduleRoot, "scripts", "fetch-vm-kernel"))
	fetch.Stderr = &said
	out, err := fetch.Output()
	if err != nil {
		return "", fmt.Errorf("vm: fetch the kernel: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Tools returns an image for Config.Root: the distribution's tools that parse
// /proc, and what scripts are made of. scripts/make-vm-tools lists and makes it.
func Tools(t testing.TB) string {
	t.Helper()
	var said strings.Builder
	command := exec.Command(filepath.Join(testenv.ModuleRoot(t), "scripts", "make-vm-tools"))
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		t.Fatalf("vm: make the tools' image: %v: %s", err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out))
}

// rootDevice is the block device of Config.Root in the guest: disks are named in
// the order of qemu's arguments. Empty when the root is a tmpfs.
func (c Config) rootDevice() string {
	switch {
	case c.Root == "":
		return ""
	case c.DiskMB > 0:
		return "/dev/vdb"
	default:
		return "/dev/vda"
	}
}

// machine is what a boot takes from this host.
type machine struct {
	qemu    string // the emulator
	busybox string // a static one
	kernel  string // the directory from Kernel
	scratch string // a directory for this boot's files
}

// boot writes the initramfs, runs qemu and reads both serial ports.
func boot(ctx context.Context, c Config, m machine) (Output, error) {
	initramfs, err := writeInitramfs(c, m)
	if err != nil {
		return Output{}, err
	}
	console := filepath.Join(m.scratch, "console")
	args := []string{
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-nodefaults", "-no-reboot",
		"-display", "none", "-monitor", "none",
		"-smp", strconv.Itoa(c.CPUs), "-m", strconv.Itoa(c.MemoryMB),
		"-serial", "file:" + console,
		"-chardev", "stdio,id=output,signal=off", "-serial", "chardev:output",
		"-kernel", filepath.Join(m.kernel, "vmlinuz"), "-initrd", initramfs,
		// quiet: the console is a serial port, and slow. panic=-1 resets at
		// once, which -no-reboot makes qemu's end.
		"-append", strings.TrimSpace("console=ttyS0 quiet panic=-1 " + c.CmdLine),
	}
	if c.DiskMB > 0 {
		disk := filepath.Join(m.scratch, "disk")
		if err := sparse(disk, int64(c.DiskMB)<<20); err != nil {
			return Output{}, fmt.Errorf("vm: disk: %w", err)
		}
		args = append(args, "-drive", "if=virtio,format=raw,cache=unsafe,file="+disk)
	}
	if c.Root != "" {
		// snapshot: written to a temporary file.
		args = append(args, "-drive", "if=virtio,format=raw,cache=unsafe,snapshot=on,file="+c.Root)
	}
	start := time.Now()
	out, err := serve(ctx, exec.CommandContext(ctx, m.qemu, append(args, c.QEMU...)...), c.Each)
	out.Took = time.Since(start)
	// A machine that never started has no console; that is what err then says.
	text, readErr := os.ReadFile(console)
	out.Console = string(text)
	if err == nil && readErr != nil {
		err = fmt.Errorf("vm: %w", readErr)
	}
	return out, err
}

func sparse(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Close())
}

// serve runs qemu and takes its standard output, the second serial port, apart.
func serve(ctx context.Context, qemu *exec.Cmd, each func(string)) (Output, error) {
	var said strings.Builder
	qemu.Stderr = &said
	port, err := qemu.StdoutPipe()
	if err != nil {
		return Output{}, fmt.Errorf("vm: %w", err)
	}
	// A test binary that its own timeout ends takes qemu along.
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := qemu.Start(); err != nil {
		return Output{}, fmt.Errorf("vm: start qemu: %w", err)
	}
	out, ended, readErr := readPort(port, each)
	waitErr := qemu.Wait()
	switch {
	case ended:
		return out, nil
	case ctx.Err() != nil:
		return out, fmt.Errorf("vm: the machine did not end in time: %w", ctx.Err())
	case waitErr != nil:
		return out, fmt.Errorf("vm: qemu: %w: %s", waitErr, strings.TrimSpace(said.String()))
	case readErr != nil:
		return out, fmt.Errorf("vm: read the serial port: %w", readErr)
	default:
		return out, errors.New("vm: the machine died before the script's end")
	}
}

// readPort reads the script's output; ended says whether its exit status came.
func readPort(port io.Reader, each func(string)) (out Output, ended bool, err error) {
	var text strings.Builder
	lines := bufio.NewReader(port)
	for {
		line, err := lines.ReadString('\n')
		if at := strings.Index(line, trailer); at >= 0 {
			status, bad := strconv.Atoi(strings.TrimSpace(line[at+len(trailer):]))
			out.Status, ended = status, bad == nil
			// The script's last line may have had no newline of its own.
			line = line[:at]
		}
		text.WriteString(line)
		if each != nil && line != "" {
			each(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			out.Text = text.String()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return out, ended, err
		}
	}
}
