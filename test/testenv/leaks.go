// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// settle is how long what a test used may take to go: a container's processes
// have a second to end after a kill -9 of `run`, on a machine that other tests
// keep busy.
const settle = 5 * time.Second

// Kind names a class of things that a test can leave behind.
type Kind string

// The kinds that a Snapshot holds.
const (
	// Mounts are the lines of this mount namespace's mountinfo.
	Mounts Kind = "mount"
	// Cgroups are the directories below a directory named procfs-shim… in any
	// mounted hierarchy, and such directories themselves.
	Cgroups Kind = "cgroup"
	// Processes are descendants of the test process and processes that run a
	// program named procfs-shim, wherever they hang.
	Processes Kind = "process"
	// Descriptors are those of the test process.
	Descriptors Kind = "descriptor"
	// Goroutines are those of the test process.
	Goroutines Kind = "goroutine"
)

// kinds is the order in which leaks are looked for and reported.
func kinds() []Kind { return []Kind{Processes, Mounts, Cgroups, Descriptors, Goroutines} }

// Snapshot is what there was at one moment: of each kind, a key that identifies
// one thing for as long as it exists, and a description for a person.
type Snapshot map[Kind]map[string]string

// Leak is one thing that is there now and was not before.
type Leak struct {
	Kind Kind
	// Key identifies the thing: a mount's id, a cgroup's directory, "PID
	// start-time", a descriptor's number, a goroutine's id.
	Key string
	// What describes it.
	What string
}

// String gives one line: the kind, the key and the description.
func (l Leak) String() string { return fmt.Sprintf("%s %s: %s", l.Kind, l.Key, l.What) }

// Take makes a snapshot of every kind.
func Take() (Snapshot, error) {
	taken := Snapshot{}
	for _, kind := range kinds() {
		things, err := take(kind)
		if err != nil {
			return nil, fmt.Errorf("testenv: list each %s: %w", kind, err)
		}
		taken[kind] = things
	}
	return taken, nil
}

func take(kind Kind) (map[string]string, error) {
	switch kind {
	case Mounts:
		return mounts()
	case Cgroups:
		return cgroups()
	case Processes:
		return processes()
	case Descriptors:
		return descriptors()
	case Goroutines:
		return goroutines(), nil
	default:
		return nil, fmt.Errorf("unknown kind %q", kind)
	}
}

// Since lists what is there now and was not when s was taken, kind by kind.
func (s Snapshot) Since() ([]Leak, error) {
	now, err := Take()
	if err != nil {
		return nil, err
	}
	var leaks []Leak
	for _, kind := range kinds() {
		for _, key := range slices.Sorted(maps.Keys(now[kind])) {
			if _, was := s[kind][key]; !was {
				leaks = append(leaks, Leak{kind, key, now[kind][key]})
			}
		}
	}
	return leaks, nil
}

// Settled gives what Since gives once it is empty, or after five seconds.
func (s Snapshot) Settled() ([]Leak, error) {
	for deadline := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
		leaks, err := s.Since()
		if err != nil || len(leaks) == 0 || time.Now().After(deadline) {
			return leaks, err
		}
	}
}

// NoLeaks fails the test when it ends with more than it started with, and
// removes leaked FUSE mounts, whose hung readers would take the following tests
// along. Call it first in a test: cleanups run last in, first out. Tests that
// run in parallel to this one show up as its leaks.
func NoLeaks(t testing.TB) {
	t.Helper()
	before, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leaks, err := before.Settled()
		if err != nil {
			t.Errorf("testenv: look for leaks: %v", err)
		}
		for _, leak := range leaks {
			t.Errorf("left behind: %v", leak)
			if leak.Kind == Mounts && isFUSE(leak.What) {
				if err := abortMount(leak.Key); err != nil {
					t.Errorf("and could not be removed: %v", err)
				}
			}
		}
	})
}

// Report formats leaks one to a line, sorted, for a test's message.
func Report(leaks []Leak) string {
	sorted := slices.SortedFunc(slices.Values(leaks), func(a, b Leak) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
	})
	lines := make([]string, len(sorted))
	for i, leak := range sorted {
		lines[i] = "  " + leak.String()
	}
	return strings.Join(lines, "\n")
}
