// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
)

func TestParseStart(t *testing.T) {
	const before, after = "S 1 12 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 ", " 10 11 12\n"
	for _, test := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"12 (cat) " + before + "123456" + after, 1234*time.Second + 560*time.Millisecond, true},
		{"12 (a) S) 1 (b\n) " + before + "7" + after, 70 * time.Millisecond, true},
		{"12 (cat) " + before + "0" + after, 0, true},
		{"12 (cat) " + before + "9223372036854775807" + after, math.MaxInt64 / 10_000_000 * 10_000_000, true},
		{"12 (cat) " + before + "18446744073709551615" + after, 0, false},
		{"12 (cat) " + before + "-1" + after, 0, false},
		{"12 (cat) " + before + "x" + after, 0, false},
		{"12 (cat) " + before, 0, false},
		{"12 (cat) S", 0, false},
		{"", 0, false},
	} {
		got, err := parseStart([]byte(test.text))
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q starts at %v, %v; want %v", test.text, got, err, test.want)
		}
	}
}

func TestParseExiting(t *testing.T) {
	for _, test := range []struct {
		text string
		want bool
		ok   bool
	}{
		{"12 (cat) S 1 12 12 0 -1 4194304 1", false, true},
		{"12 (a) Z 4) Z 1 12 12 0 -1 4194308 1", true, true},
		{"12 (cat) S 1 12 12 0 -1 x 1", false, false},
		{"12 (cat) S 1 12 12 0 -1", false, false},
		{"", false, false},
	} {
		got, err := parseExiting([]byte(test.text))
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q is ending: %v, %v; want %v", test.text, got, err, test.want)
		}
	}
}

func TestInV1Roots(t *testing.T) {
	for text, want := range map[string]bool{
		"2:cpu,memory:/\n1:name=systemd:/\n0::/a\n": true,
		"2:cpu:/\n1:memory:/a\n0::/\n":              false,
		"2:cpu:/x:/\n":                              true, // looked at more closely than need be
		"0::/\n":                                    false,
		"":                                          false,
	} {
		if got := inV1Roots([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestParseBootOffset(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"monotonic           0         0\nboottime            0         0\n", 0, true},
		{"monotonic  -5 0\nboottime  -86400 500000000\n", -86400*time.Second + 500*time.Millisecond, true},
		{"boottime 7 1\n", 7*time.Second + 1, true},
		{"boottime 9223372036 0\n", 0, false},
		{"boottime -9223372036854775808 0\n", 0, false},
		{"boottime x 0\n", 0, false},
		{"boottime 0 -1\n", 0, false},
		{"boottime 0\n", 0, false},
		{"monotonic 0 0\n", 0, false},
		{"", 0, false},
	} {
		got, err := parseBootOffset([]byte(test.text))
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q is %v, %v; want %v", test.text, got, err, test.want)
		}
	}
}

// This process: it began not long ago, in the namespaces that it is in.
func TestInitOfThisProcess(t *testing.T) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	l := New("/proc", layout)
	got, err := l.Init(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		t.Fatal(err)
	}
	age := time.Duration(now.Nano()) - got.Start
	if got.PID != os.Getpid() || !got.HostPID || age < 0 || age > time.Hour {
		t.Errorf("this process is %+v, %v old", got, age)
	}
	if _, err := l.Init(math.MaxInt32); !errors.Is(err, ErrNotVisible) || !strings.Contains(err.Error(), "2147483647") {
		t.Errorf("a process that isn't there: %v", err)
	}
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte("12 (cat) S 1 12 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123 4 5\n"))
	f.Add([]byte("monotonic 0 0\nboottime -86400 500000000\n"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if start, err := parseStart(text); err == nil && start < 0 {
			t.Errorf("%q starts at %v", text, start)
		}
		if exiting, err := parseExiting(text); err != nil && exiting {
			t.Errorf("%q can't be read and is ending", text)
		}
		if offset, err := parseBootOffset(text); err == nil && !strings.Contains(string(text), "boottime") {
			t.Errorf("%q has the offset %v", text, offset)
		}
	})
}
