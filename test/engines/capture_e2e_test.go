// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package engines

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// captureDir makes TestDiscoverFindsEveryEngine write what it finds as fixtures
// for the unit tests of package discover:
//
//	go test -tags e2e ./test/engines -run TestDiscoverFindsEveryEngine -args -capture "$PWD/runtime/discover/testdata"
var captureDir = flag.String("capture", "", "directory to write fixtures to")

// capture writes the processes that a container has to do with, its engine's
// names for it, and what is to be found.
func capture(t *testing.T, e Engine, c Running) {
	t.Helper()
	if *captureDir == "" {
		return
	}
	layout, err := testenv.CgroupLayout()
	if err != nil {
		t.Fatal(err)
	}
	name := "debian12-" + layout + "-" + strings.ReplaceAll(filepath.Base(t.Name()), "_", "-")
	a := &txtar.Archive{Comment: fmt.Appendf(nil, `A container of %s on the development host: its init, the process that started
that, and its cgroups. Left out: other processes, and what isn't read. NUL bytes
in cmdline are written as line ends, the test's directory as /srv/engine.

Distribution: Debian GNU/Linux 12 (bookworm)
Cgroup layout: %s
Command: see test/engines/capture_e2e_test.go

`, filepath.Base(t.Name()), layout)}
	own := ownCgroups(t)
	add := func(file, text string) {
		if strings.HasSuffix(file, "/cgroup") {
			text = own.Replace(text)
		}
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text = strings.ReplaceAll(text, dirOf(e), "/srv/engine")
		a.Files = append(a.Files, txtar.File{Name: file, Data: []byte(text)})
	}
	add("want", fmt.Sprintf("%s %s %s %d", e.Name(), c.ID, c.Name, c.InitPID))
	add("proc/self/cgroup", read(t, "/proc/self/cgroup"))
	add("proc/self/mountinfo", linesWith(read(t, "/proc/self/mountinfo"), "cgroup"))
	parent := linesWith(read(t, fmt.Sprintf("/proc/%d/status", c.InitPID)), "PPid:")
	ppid, err := strconv.Atoi(strings.Fields(parent)[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{c.InitPID, ppid} {
		dir := fmt.Sprintf("proc/%d/", pid)
		add(dir+"cgroup", read(t, "/"+dir+"cgroup"))
		add(dir+"status", linesWith(read(t, "/"+dir+"status"), "Name:", "State:", "Tgid:", "Pid:", "PPid:", "NSpid:"))
		add(dir+"stat", read(t, "/"+dir+"stat"))
		add(dir+"comm", read(t, "/"+dir+"comm"))
		add(dir+"cmdline", strings.ReplaceAll(read(t, "/"+dir+"cmdline"), "\x00", "\n"))
	}
	switch e := e.(type) {
	case *Docker:
		add("var/lib/docker/containers/"+c.ID+"/config.v2.json", fmt.Sprintf("{\"ID\":%q,\"Name\":%q}", c.ID, "/"+c.Name))
	case *Podman:
		list := filepath.Join(e.Storage(), "overlay-containers/containers.json")
		add("var/lib/containers/storage/overlay-containers/containers.json", read(t, list))
	case *Containerd:
		pid := "io.containerd.runtime.v2.task/default/" + c.ID + "/init.pid"
		add("run/containerd/"+pid, read(t, filepath.Join(e.State(), pid)))
	}
	if err := os.WriteFile(filepath.Join(*captureDir, name+".txtar"), txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ownCgroups puts the root in the place of the cgroups that the test happens to
// run in.
func ownCgroups(t *testing.T) *strings.Replacer {
	t.Helper()
	var pairs []string
	for line := range strings.Lines(read(t, "/proc/self/cgroup")) {
		if path := line[strings.LastIndex(line, ":"):]; path != ":/\n" {
			pairs = append(pairs, path, ":/\n")
		}
	}
	return strings.NewReplacer(pairs...)
}

func dirOf(e Engine) string {
	switch e := e.(type) {
	case *Docker:
		return e.dir
	case *Podman:
		return e.dir
	case *Containerd:
		return e.dir
	case *LXC:
		return e.dir
	default:
		return "\x00"
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// linesWith keeps the lines that contain any of the words.
func linesWith(text string, words ...string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		for _, word := range words {
			if strings.Contains(line, word) {
				out.WriteString(line)
				break
			}
		}
	}
	return out.String()
}
