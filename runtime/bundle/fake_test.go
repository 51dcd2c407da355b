// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/capability"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
)

// fakeHost has two CPUs and the v1 controllers of files; the key of a
// controller's hierarchy is what /proc/self/cgroup names it.
func fakeHost(t *testing.T, files map[string][]string) Host {
	t.Helper()
	dir := t.TempDir()
	var mountinfo, member strings.Builder
	id := 100
	for name, list := range files {
		at := filepath.Join(dir, "cgroup", name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range append(list, "cgroup.sane_behavior") {
			name, text, _ := strings.Cut(file, "=")
			if err := os.WriteFile(filepath.Join(at, name), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		id++
		line := []string{itoa(id), "1", "0:" + itoa(id), "/", at, "rw", "-", "cgroup", "cgroup", "rw," + name}
		mountinfo.WriteString(strings.Join(line, " ") + "\n")
		member.WriteString(itoa(id) + ":" + name + ":/\n")
	}
	proc := filepath.Join(dir, "proc")
	if err := os.MkdirAll(filepath.Join(proc, "self"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"mountinfo": mountinfo.String(), "cgroup": member.String()} {
		if err := os.WriteFile(filepath.Join(proc, "self", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	layout, err := cgroupread.Detect(proc)
	if err != nil {
		t.Fatal(err)
	}
	h := Host{
		OnlineCPUs:        cpulist.Range(0, 1),
		Limits:            cgroup.NewHost(layout),
		Hostname:          "thehost",
		Workdir:           "/current/dir",
		TimeNS:            true,
		RecursiveReadOnly: true,
		BootClock:         func() time.Duration { return 1000*time.Second + 250*time.Millisecond },
		LookupEnv: func(name string) (string, bool) {
			return "caller's", name == "FROM_CALLER"
		},
		SysRoot: filepath.Join(dir, "sys"),
	}
	for _, c := range capability.ListKnown() {
		h.Capabilities = append(h.Capabilities, capabilityName(c))
	}
	return h
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// fullV1 is a host that can limit everything.
func fullV1() map[string][]string {
	return map[string][]string{
		"cpu":     {"cpu.shares=1024"},
		"cpuset":  {"cpuset.cpus=0-1", "cpuset.mems=0"},
		"memory":  {"memory.limit_in_bytes=1", "memory.memsw.limit_in_bytes=1"},
		"blkio":   {"blkio.bfq.io_serviced="},
		"pids":    {"pids.max=max"},
		"devices": {"devices.list=a *:* rwm"},
	}
}

func noSwapV1() map[string][]string {
	files := fullV1()
	files["memory"] = files["memory"][:1]
	return files
}

// fakeRootfs has the usual users.
func fakeRootfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/bin/false\nuser:x:1000:1000::/home/user:/bin/sh\nnohome:x:7:7:::\n",
		"group":  "root:x:0:\ndaemon:x:1:\nwheel:x:10:root,user\naudio:x:29:user\nuser:x:1000:\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// command is Options with a command and what change does to them.
func command(change func(o *Options)) *Options {
	o := &Options{Args: []string{"/bin/true"}}
	if change != nil {
		change(o)
	}
	return o
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
