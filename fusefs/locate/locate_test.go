// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"errors"
	"os"
	goruntime "runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// newLocator reads this machine's processes with the cgroup layout of a
// captured host, which is all that the tests here need: which PIDs are found.
func newLocator(t *testing.T) *Locator {
	t.Helper()
	layout, err := cgroupread.Detect(fixture.Load(t, "debian12-v2").Proc)
	if err != nil {
		t.Fatal(err)
	}
	l := New("/proc", layout)
	t.Cleanup(l.Close)
	return l
}

func TestHostReader(t *testing.T) {
	l := newLocator(t)
	want, err := l.layout.OfProcess("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Locate(uint32(unix.Gettid()))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Cgroup.Equal(want) {
		t.Errorf("a reader in the host's PID namespace is in %v, want its own cgroup %v", got, want)
	}
}

// ways are a locator that asks the kernel for init processes, where it tells, and
// one that walks to them. Neither keeps anything of l's.
func ways(t *testing.T, l *Locator) map[string]*Locator {
	t.Helper()
	both := map[string]*Locator{}
	for name, walks := range map[string]bool{"asks": l.walks, "walks": true} {
		one := New(l.proc, l.layout)
		one.walks = walks
		t.Cleanup(one.Close)
		both[name] = one
	}
	return both
}

func TestNotVisible(t *testing.T) {
	l := newLocator(t)
	for _, tid := range []uint32{0, 1 << 30, 1<<32 - 1} {
		if _, err := l.Locate(tid); !errors.Is(err, ErrNotVisible) {
			t.Errorf("Locate(%d): %v, want ErrNotVisible", tid, err)
		}
	}
}

func TestNoProc(t *testing.T) {
	l := New(t.TempDir(), newLocator(t).layout)
	if _, err := l.Locate(1); err == nil || errors.Is(err, ErrNotVisible) || !strings.Contains(err.Error(), "ns/pid") {
		t.Errorf("without a procfs: %v", err)
	}
}

func TestParseStatus(t *testing.T) {
	const good = "Name:\ta\\nPPid:\t9\nTgid:\t70\nNgid:\t0\nPid:\t71\nPPid:\t30\nNStgid:\t70\t5\nNSpid:\t71\t6\t1\n"
	got, err := parseStatus([]byte(good))
	if err != nil || got != (status{tgid: 70, parent: 30, innermost: 1}) {
		t.Errorf("parseStatus: %+v, %v", got, err)
	}
	for _, bad := range []string{
		"", "Tgid:\t1\nPPid:\t1\n", "Tgid:\t1\nPPid:\t1\nNSpid:\n", "Tgid:\t1\nPPid:\tx\nNSpid:\t1\n",
		"Tgid:\t1\nPPid:\t-1\nNSpid:\t1\n", "Tgid:\t99999999999999999999\nPPid:\t1\nNSpid:\t1\n",
	} {
		if got, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("parseStatus(%q) gives %+v", bad, got)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("Tgid:\t70\nPPid:\t30\nNSpid:\t71\t6\t1\n"))
	f.Add([]byte("NSpid:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseStatus(text); err == nil && (s.tgid < 0 || s.parent < 0 || s.innermost < 0) {
			t.Errorf("negative numbers: %+v", s)
		}
	})
}

// TestWalkFromHere walks from this process up to the init process of its
// namespace, and asks the kernel too where it knows the question.
func TestWalkFromHere(t *testing.T) {
	l := newLocator(t)
	self, err := openTask(l.proc, unix.Gettid())
	if err != nil {
		t.Fatal(err)
	}
	defer self.close()
	space, err := self.namespace()
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range ways(t, l) {
		init, err := l.openInit(self, space)
		if errors.Is(err, errNoInit) || errors.Is(err, os.ErrPermission) {
			t.Logf("%s: %v", name, err) // entered from outside, or other users' processes hidden
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if init.id != 1 {
			t.Errorf("%s: the init process of this namespace is %d", name, init.id)
		}
		init.close()
	}
}

func BenchmarkLocate(b *testing.B) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		b.Fatal(err)
	}
	l := New("/proc", layout)
	tid := uint32(unix.Gettid())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Locate(tid); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLinux32(t *testing.T) {
	l := newLocator(t)
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	tid := uint32(unix.Gettid())
	was, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, domain := range []uintptr{0, perLinux32, 0} {
		if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, domain, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		if got, err := l.Linux32(tid); err != nil || got != (domain == perLinux32) {
			t.Errorf("in domain %#x: %v, %v", domain, got, err)
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, was, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	for _, nobody := range []uint32{0, 1 << 30} {
		if _, err := l.Linux32(nobody); !errors.Is(err, ErrNotVisible) {
			t.Errorf("Linux32(%d): %v, want ErrNotVisible", nobody, err)
		}
	}
}
