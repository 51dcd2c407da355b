// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// Containers of real engines (test/engines captured them): each archive says in
// the file "want" what is to be found in it, and that is all.
func TestCapturedEngines(t *testing.T) {
	archives, err := filepath.Glob("testdata/debian12-*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("fixtures: %v, %v", archives, err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			h := fixture.Unpack(t, text)
			lines, err := filepath.Glob(h.Path("proc/[0-9]*/cmdline"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range lines {
				name, err := filepath.Rel(h.Root, file)
				if err != nil {
					t.Fatal(err)
				}
				h.Write(name, strings.ReplaceAll(h.Read(name), "\n", "\x00"))
			}
			layout, err := cgroupread.Detect(h.Proc)
			if err != nil {
				t.Fatal(err)
			}
			f := New(layout, Roots{
				Proc:       h.Proc,
				Docker:     []string{h.Path("var/lib/docker")},
				Storage:    []string{h.Path("var/lib/containers/storage")},
				Containerd: []string{h.Path("run/containerd")},
			})
			all, err := f.All()
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, c := range all {
				fmt.Fprintf(&got, "%s %s %s %d\n", c.Engine, c.ID, c.Name, c.InitPID)
				if path, ok := c.Cgroup.Path("memory"); !ok || !strings.HasSuffix(path, c.ID) {
					t.Errorf("%s: cgroup %s", c, c.Cgroup)
				}
			}
			if diff := cmp.Diff(h.Read("want"), got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
