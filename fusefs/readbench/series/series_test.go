// SPDX-License-Identifier: Apache-2.0

package series

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
	"github.com/procfs-shim/procfs-shim/fusefs/readbench/footprint"
)

// host is a machine whose server takes 1 ms of CPU time for a read and 8 KiB for
// a container.
type host struct {
	did        []string
	cpu        time.Duration
	containers int
	fail       string // the step that fails
}

var errStep = errors.New("it failed")

func (h *host) step(format string, args ...any) error {
	h.did = append(h.did, fmt.Sprintf(format, args...))
	if h.did[len(h.did)-1] == h.fail {
		return errStep
	}
	return nil
}

func (h *host) series() Series {
	return Series{
		Modes: []readbench.Mode{readbench.Hot, readbench.Cold}, Readers: []int{1, 2}, Containers: []int{1, 11}, Idle: 2 * time.Second,
		Register: func(_ context.Context, total int) error {
			h.containers = total
			return h.step("register %d", total)
		},
		Measure: func(_ context.Context, mode readbench.Mode, readers int) (readbench.Report, error) {
			time.Sleep(time.Second)
			h.cpu += 30 * time.Millisecond
			result := func(tree string) readbench.Result {
				return readbench.Result{File: "meminfo", Tree: tree, Mode: mode, Readers: readers, Reads: 10}
			}
			return readbench.Report{
				Results: []readbench.Result{result("ours"), result("shared"), result("kernel")},
				Host:    readbench.Host{Kernel: "6.1.0"}, QuantileError: 0.5,
			}, h.step("%s %d", mode, readers)
		},
		Watch: func() (footprint.Footprint, error) {
			return footprint.Footprint{CPU: h.cpu, RSS: int64(h.containers) << 13, Threads: 5, Descriptors: 6}, nil
		},
		Serves: func(tree string) bool { return tree != "kernel" },
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		report, err := h.series().Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"register 1", "hot 1", "cold 1", "hot 2", "cold 2",
			"register 11", "hot 1", "cold 1", "hot 2", "cold 2",
		}
		if !slices.Equal(h.did, want) {
			t.Errorf("did %q, want %q", h.did, want)
		}
		if len(report.Results) != 24 || report.Host.Kernel != "6.1.0" || report.QuantileError != 0.5 {
			t.Errorf("%d results, %+v", len(report.Results), report.Host)
		}
		if r := report.Results[12]; r.Containers != 11 || r.Readers != 1 || r.Mode != readbench.Hot {
			t.Errorf("the first row with 11 containers: %+v", r)
		}
		if len(report.Server) != 10 {
			t.Fatalf("%d uses", len(report.Server))
		}
		if u := report.Server[4]; u != (readbench.Use{Mode: readbench.Idle, Containers: 1, Wall: 2, RSS: 8192, Threads: 5, Descriptors: 6}) {
			t.Errorf("idle: %+v", u)
		}
		if u := report.Server[7]; u.Mode != readbench.Hot || u.Readers != 2 || u.Containers != 11 || u.CPU != 0.03 || u.Wall != 1 || u.Reads != 20 {
			t.Errorf("hot: %+v", u)
		}
		if each, ok := readbench.MemoryPerContainer(report.Server); each != 8192 || !ok {
			t.Errorf("%v bytes for each container", each)
		}
	})
}

func TestRunFails(t *testing.T) {
	for _, fail := range []string{"register 11", "cold 2", "hot 1"} {
		synctest.Test(t, func(t *testing.T) {
			h := &host{fail: fail}
			if _, err := h.series().Run(t.Context()); !errors.Is(err, errStep) || h.did[len(h.did)-1] != fail {
				t.Errorf("%s failed: %v, and then it did %q", fail, err, h.did)
			}
		})
	}
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := (&host{}).series().Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("idle for longer than allowed: %v", err)
		}
	})
}
