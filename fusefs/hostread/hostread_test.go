// SPDX-License-Identifier: Apache-2.0

package hostread

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// open opens a captured host's files; move moves its clock.
func open(t *testing.T) (host *fixture.Host, files *Files, move func(time.Duration)) {
	t.Helper()
	host = fixture.Load(t, "debian12-hybrid")
	now := time.Unix(1000, 0)
	files, err := Open(host.Proc, host.Sys, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return host, files, func(d time.Duration) { now = now.Add(d) }
}

func TestMemory(t *testing.T) {
	host, files, move := open(t)
	first, err := files.Reader(nil).Memory()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(first.Meminfo.Append(nil)); got != host.Read("proc/meminfo") {
		t.Errorf("meminfo is %q", got)
	}
	if first.OvercommitRatio != 50 || first.OvercommitKBytes != 0 {
		t.Errorf("overcommit is %d %%, %d kB", first.OvercommitRatio, first.OvercommitKBytes)
	}
	host.Write("proc/sys/vm/overcommit_ratio", "80\n")
	move(maxAge)
	if second, err := files.Reader(nil).Memory(); err != nil || second != first {
		t.Errorf("read again within 10 ms: %v", err)
	}
	move(1)
	if third, err := files.Reader(nil).Memory(); err != nil || third.OvercommitRatio != 80 {
		t.Errorf("overcommit_ratio is %d after 10 ms, %v", third.OvercommitRatio, err)
	}
}

func TestCPUInfo(t *testing.T) {
	host, files, move := open(t)
	online, err := files.Reader(nil).Online()
	if err != nil {
		t.Fatal(err)
	}
	first, version, err := files.Reader(nil).CPUInfo(online, false)
	if err != nil {
		t.Fatal(err)
	}
	host.Write("proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 1.000\n\n")
	move(cpuinfoMaxAge)
	if again, same, err := files.Reader(nil).CPUInfo(online, false); err != nil || again != first || same != version {
		t.Errorf("read again within a second: %v", err)
	}
	now, other, err := files.Reader(nil).CPUInfo(cpulist.Of(0), false)
	if err != nil || len(now.Blocks) != 1 || other == version {
		t.Errorf("not read again for other CPUs: %v, version %d after %d", err, other, version)
	}
	host.Write("proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2.000\n\n")
	move(cpuinfoMaxAge + 1)
	if _, next, err := files.Reader(nil).CPUInfo(cpulist.Of(0), false); err != nil || next == other || next == 0 {
		t.Errorf("another text has version %d like the former, %v", next, err)
	}
}

func TestCPUInfo32(t *testing.T) {
	_, files, _ := open(t)
	online, err := files.Reader(nil).Online()
	if err != nil {
		t.Fatal(err)
	}
	native, _, err := files.Reader(nil).CPUInfo(online, false)
	if err != nil {
		t.Fatal(err)
	}
	// A captured file has the same text for every reader, but is read for each.
	if got, _, err := files.Reader(nil).CPUInfo(online, true); err != nil || got == native || !bytes.Equal(got.Append(nil), native.Append(nil)) {
		t.Errorf("CPUInfo32: %v", err)
	}
	personality := func() uintptr {
		was, _, _ := unix.RawSyscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
		return was
	}
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	before := personality()
	if err := asLinux32(func() {
		if got := personality(); got != 0x08 {
			t.Errorf("the personality is %#x", got)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got := personality(); got != before {
		t.Errorf("the personality is left at %#x, was %#x", got, before)
	}
}

func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		file, text string
		read       func(*Files) error
	}{
		{"proc/meminfo", "MemTotal: lots kB\n", func(f *Files) error { _, err := f.Reader(nil).Memory(); return err }},
		{"proc/sys/vm/overcommit_ratio", "fifty\n", func(f *Files) error { _, err := f.Reader(nil).Memory(); return err }},
		{"proc/sys/vm/overcommit_kbytes", "", func(f *Files) error { _, err := f.Reader(nil).Memory(); return err }},
		{"proc/cpuinfo", "no CPU here\n", func(f *Files) error { _, _, err := f.Reader(nil).CPUInfo(cpulist.Of(0), false); return err }},
		{"sys/devices/system/cpu/online", "all\n", func(f *Files) error { _, err := f.Reader(nil).Online(); return err }},
	} {
		host, files, _ := open(t)
		host.Write(test.file, test.text)
		if err := test.read(files); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), filepath.Base(test.file)) {
			t.Errorf("%s with %q: %v", test.file, test.text, err)
		}
	}
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	files, err := Open(dir, dir, time.Now)
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, ErrUnreadable) {
		t.Errorf("Open without files: %v", err)
	}
	if _, err := files.Reader(nil).Online(); !errors.Is(err, ErrUnreadable) {
		t.Errorf("Online without the file: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "devices/system/cpu"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "devices/system/cpu/online"), []byte("0-3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if set, err := files.Reader(nil).Online(); err != nil || set.Len() != 4 {
		t.Errorf("Online once the file is there: %v, %v", set, err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
}

// A text that is longer than the first buffer.
func TestLongText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long")
	want := strings.Repeat("0123456789abcdef\n", 100_000)
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &file{path: path}
	for range 2 {
		if text, err := f.read(nil); err != nil || string(text) != want {
			t.Errorf("read %d bytes of %d, %v", len(text), len(want), err)
		}
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if n, err := Length(path); err != nil || n != len(want) {
		t.Errorf("Length is %d, %v", n, err)
	}
}
