// SPDX-License-Identifier: Apache-2.0

package material

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A container that nobody serves is explained by this process itself.
func TestHere(t *testing.T) {
	layout, err := cgroupread.Detect("/proc")
	if err != nil {
		t.Fatal(err)
	}
	own, err := layout.OfProcess("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	m, err := Here(own, os.Getpid(), "proc/meminfo", view.Policy{Swap: view.SwapNone})
	if err != nil || !strings.HasPrefix(string(m.Text), "MemTotal:") || m.Policy.Swap != view.SwapNone || m.Init.PID != os.Getpid() {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := Here(own, os.Getpid(), "proc/version", view.Policy{}); !errors.Is(err, fusefs.ErrNotServed) {
		t.Errorf("a file that isn't served: %v", err)
	}
}
