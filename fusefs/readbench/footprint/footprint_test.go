// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestOwn: time that this process spends, memory that it takes and files that it
// opens are seen.
func TestOwn(t *testing.T) {
	before, err := Read("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	memory := make([]byte, 32<<20)
	for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); {
		for i := range memory {
			memory[i]++
		}
	}
	var files []*os.File
	for range 7 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	after, err := Read("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used < 5*time.Millisecond || used > 10*time.Second {
		t.Errorf("CPU time: %v", used)
	}
	if grown := after.RSS - before.RSS; grown < 30<<20 {
		t.Errorf("%d bytes more, having touched %d", grown, len(memory))
	}
	if opened := after.Descriptors - before.Descriptors; opened < len(files) {
		t.Errorf("%d descriptors more, having opened %d", opened, len(files))
	}
	if after.Threads < 1 {
		t.Errorf("%d threads", after.Threads)
	}
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDescendants: a child's child counts.
func TestDescendants(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 60 & read line; kill $!")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Log(err) // read found no line
		}
	}()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		f, err := Read("/proc", cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if f.Threads == 2 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d threads of sh and sleep", f.Threads)
		}
	}
}

func TestGone(t *testing.T) {
	if _, err := Read("/proc", 1<<22+1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that can't be: %v", err)
	}
	if _, err := field([]byte("Threads:\nVmRSS:\tx kB\n"), "VmRSS:"); err == nil {
		t.Error("x is a number")
	}
	if _, err := field([]byte("Threads:\n"), "Threads:"); err == nil {
		t.Error("nothing is a number")
	}
}
