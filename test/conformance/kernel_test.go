// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// TestKernel runs the checks over the real thing, which shows that they ask for
// nothing that procfs and sysfs don't do.
func TestKernel(t *testing.T) {
	Run(t, &Subject{
		Dir:     "/",
		Files:   []string{"proc/cpuinfo", "proc/meminfo", "sys/devices/system/cpu/online"},
		Slow:    testenv.InGuest(),
		Differs: KernelDiffers(),
	})
}
