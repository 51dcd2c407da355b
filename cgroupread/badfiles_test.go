// SPDX-License-Identifier: Apache-2.0

package cgroupread_test

import (
	"errors"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// fault is something wrong with an interface file.
type fault string

const (
	missing   fault = "missing"
	empty     fault = "empty"
	nonsense  fault = "nonsense"
	truncated fault = "truncated"  // in its last number or word
	largest   fault = "2^64−1"     // in place of each number
	tooLarge  fault = "2^64"       // likewise
	newKey    fault = "a new line" // of a kernel to come, in the file's own form
	directory fault = "a directory"
)

var number = regexp.MustCompile(`-?\b[0-9]+\b`)

// with is a file's text with the fault; ok is false where the text has no place
// for it.
func (f fault) with(text, line string) (faulty string, ok bool) {
	switch f {
	case empty:
		return "", true
	case nonsense:
		return "nonsense\x00\xff\n", true
	case truncated:
		cut := strings.TrimSpace(text)
		return cut[:max(0, len(cut)-1)], cut != ""
	case largest:
		return number.ReplaceAllString(text, "18446744073709551615"), number.MatchString(text)
	case tooLarge:
		return number.ReplaceAllString(text, "18446744073709551616"), number.MatchString(text)
	case newKey:
		return text + line, line != ""
	case missing, directory:
	}
	panic("not a fault of a text: " + f)
}

// form is what kind of text a file has: a line that may be new in it, and the
// faults that are errors. What isn't listed must pass, except that a truncated
// text may do either: some of it still reads as something.
type form struct {
	line   string
	errors []fault
}

func formOf(file string) form {
	name := path.Base(file)
	switch {
	case slices.Contains([]string{"memory.stat", "memory.events", "memory.oom_control", "cpu.stat", "cpuacct.stat"}, name):
		return form{"new_key 5\n", []fault{nonsense, tooLarge}}
	case name == "memory.numa_stat":
		return form{"new=1 N0=1\n", []fault{nonsense, tooLarge}}
	case name == "io.stat":
		return form{"8:99 rbytes=1 new=0.5\n", []fault{nonsense, tooLarge, largest}} // no such device number
	case strings.HasPrefix(name, "blkio."):
		return form{"8:99 New 1\n", []fault{nonsense, tooLarge, largest}}
	case strings.HasPrefix(name, "cpuset."):
		return form{"", []fault{nonsense, tooLarge, largest}}
	case name == "cpuacct.usage_percpu":
		return form{"", []fault{nonsense, tooLarge}}
	case name == "cpu.max", name == "cpu.cfs_period_us":
		return form{"", []fault{empty, nonsense, tooLarge}}
	case name == "cpu.cfs_quota_us": // empty is no quota
		return form{"", []fault{nonsense, tooLarge}}
	case name == "tasks", name == "cgroup.threads":
		return form{"77\n", []fault{nonsense, tooLarge, largest}}
	case strings.HasSuffix(name, ".pressure"), name == "memory.kmem.slabinfo", name == "cgroup.controllers":
		return form{"new text\n", nil}
	case name == "cpuacct.usage", strings.HasSuffix(name, "usage_in_bytes"), strings.HasSuffix(name, ".current"):
		return form{"", []fault{empty, nonsense, tooLarge}}
	}
	return form{"", []fault{empty, nonsense}} // a limit
}

// Every method with every fault in every file that it reads.
func TestBadFiles(t *testing.T) {
	for _, name := range []string{"debian12-hybrid", "debian12-v1", "debian12-v2"} {
		t.Run(name, func(t *testing.T) {
			h := fixture.Load(t, name)
			l := detect(t, h)
			v1 := "sys/fs/cgroup/memory" + fixture.Container + "/"
			if l.Mode() == cgroupread.V2 {
				h.Write("sys/fs/cgroup"+fixture.Container+"/cgroup.threads", "1000\n")
			} else {
				h.Write(v1+"tasks", "1000\n")
				h.Write(v1+"memory.kmem.slabinfo", "slabinfo - version: 2.1\n")
			}
			cg := open(t, l, fixture.Container)
			for _, m := range methods() {
				for _, file := range filesOf(t, h, cg, m) {
					for _, f := range []fault{missing, empty, nonsense, truncated, largest, tooLarge, newKey, directory} {
						tryFault(t, h, cg, m, file, f)
					}
				}
			}
		})
	}
}

// filesOf are the files that a method reads and that are there, below the host's
// root.
func filesOf(t *testing.T, h *fixture.Host, cg *cgroupread.Cgroup, m method) []string {
	t.Helper()
	if m.name == "Tasks" { // which aren't recorded
		for _, file := range []string{"sys/fs/cgroup" + fixture.Container + "/cgroup.threads", "sys/fs/cgroup/memory" + fixture.Container + "/tasks"} {
			if _, err := os.Stat(h.Path(file)); err == nil {
				return []string{file}
			}
		}
	}
	var record cgroupread.Record
	if _, err := m.read(cg.Reader(&record)); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	var files []string
	record.Each(func(path string, text []byte) {
		if text != nil {
			files = append(files, strings.TrimPrefix(path, h.Root+"/"))
		}
	})
	// What not every layout has.
	if len(files) == 0 && !slices.Contains([]string{"Hugetlb", "Pressure", "Slabinfo"}, m.name) {
		t.Errorf("%s reads no file", m.name)
	}
	return files
}

func tryFault(t *testing.T, h *fixture.Host, cg *cgroupread.Cgroup, m method, file string, f fault) {
	t.Helper()
	captured := h.Read(file)
	form := formOf(file)
	switch f {
	case missing, directory:
		h.Remove(file)
		if f == directory {
			if err := os.Mkdir(h.Path(file), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	default:
		text, ok := f.with(captured, form.line)
		if !ok {
			return
		}
		h.Write(file, text)
	}
	defer func() {
		if f == directory {
			h.Remove(file)
		}
		h.Write(file, captured)
	}()

	_, err := m.read(cg.Reader(nil))
	bad := slices.Contains(form.errors, f) || f == directory
	switch {
	case err == nil && bad:
		t.Errorf("%s, %s %s: no error", m.name, file, f)
	case err != nil && !bad && f != truncated:
		t.Errorf("%s, %s %s: %v", m.name, file, f, err)
	case err != nil && (!strings.Contains(err.Error(), h.Path(file)) || errors.Is(err, cgroupread.ErrGone)):
		t.Errorf("%s, %s %s: %v, want an error that names the file", m.name, file, f, err)
	}
}
