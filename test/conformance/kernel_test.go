// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestKernel runs the checks over the real thing, which shows that they ask for
// nothing that procfs and sysfs don't do.
func TestKernel(t *testing.T) {
	Run(t, &Subject{
		Dir:     "/",
		Files:   present(t),
		Slow:    testenv.InGuest(),
		Differs: KernelDiffers(),
		Empty:   map[string]string{"proc/diskstats": "a machine without block devices"},
	})
}

// present are the files that package fusefs serves views of and that this machine
// lets this user read.
func present(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, f := range fusefs.Files() {
		if file, err := os.Open("/" + f.Path); err == nil {
			paths = append(paths, f.Path)
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if len(paths) < 5 {
		t.Fatalf("only %v can be read", paths)
	}
	return paths
}
