// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Subject is a directory whose files are checked.
type Subject struct {
	// Dir has the files at the paths that they have below /.
	Dir string
	// Files are the paths, without a leading slash.
	Files []string
	// Change makes the text of a file different from what it was, by other means
	// than the file. nil, or a false: there is no such means.
	Change func(path string) (possible bool, err error)
	// Empty gives the reason why a file may be without text, by its path. While it
	// is, what is checked is what has nothing to do with texts.
	Empty map[string]string
	// Slow makes checks that open many files do with a tenth of them, and do them
	// and what starts many programs for the first few files only, for machines that
	// are emulated.
	Slow bool
	// Differs gives the reason why a check isn't passed, by the check's name or,
	// if only for one file, by "NAME PATH".
	Differs map[string]string
}

// A Check tests one file of a subject; the error says what is wrong.
type Check func(s *Subject, path string) error

// Checks returns all checks by name.
func Checks() map[string]Check {
	return map[string]Check{
		"any size of reads gives the whole file":      chunks,
		CheckOneSnapshot:                              oneSnapshot,
		"offset 0 is fresh on a kept-open descriptor": fresh,
		CheckMiddle:                     middle,
		"past the end there is nothing": end,
		CheckParallel:                   parallel,
		CheckMode:                       modeAndOwner,
		CheckSize:                       vagueSize,
		"every kind of read gives the whole file": kinds,
		CheckAsync:   asynchronous,
		CheckTools:   tools,
		CheckWriting: refusesWriting,
		CheckInode:   refusesChanges,
		CheckEntries: refusesEntries,
		CheckOpen:    manyOpen,
		CheckHeld:    manyHeld,
		CheckPoll:    pollReadable,
		CheckListed:  listed,
	}
}

// The names that KernelDiffers and callers refer to.
const (
	CheckOneSnapshot = "reads on an open file see one snapshot"
	CheckSize        = "the size misleads nobody"
	CheckMiddle      = "a first read in the middle gives data"
	CheckParallel    = "parallel pread on one descriptor is safe"
	CheckMode        = "mode and owner are the host's"
	CheckTools       = "tools get the whole file"
	CheckPoll        = "poll says readable"
	CheckListed      = "the directory lists it"
	CheckWriting     = "opening for writing is refused"
	CheckInode       = "changes of the inode are refused"
	CheckEntries     = "changes of the directory are refused"
	CheckHeld        = "an open file never shows half of two texts"
	CheckAsync       = "asynchronous reads give the whole file"
	CheckOpen        = "10,000 open descriptors"
)

// textless are the checks of what has nothing to do with a file's text.
func textless() map[string]bool {
	return map[string]bool{
		CheckMode: true, CheckWriting: true, CheckInode: true, CheckEntries: true, CheckPoll: true, CheckListed: true,
	}
}

// KernelDiffers is where the kernel's own files differ from ours.
func KernelDiffers() map[string]string {
	const anew = "seq_file renders anew for a pread(2) that doesn't go on where the last one ended"
	const roots = "procfs and sysfs let root do it"
	differs := map[string]string{
		CheckOneSnapshot: anew,
		CheckHeld:        anew,
		CheckWriting:     "procfs lets root open for writing; write(2) then gives EIO",
		CheckInode:       roots + ", and it would change this machine",
		CheckEntries:     "procfs has other words for it (ENOENT, EPERM), and nothing is to be tried on this machine's",
	}
	for _, file := range []string{"proc/diskstats", "proc/slabinfo", "proc/vmstat"} {
		const records = "written record by record: one read gives no more than a page or so"
		differs[CheckMiddle+" "+file] = records
		differs[CheckParallel+" "+file] = records
	}
	for _, file := range []string{
		"proc/swaps", "proc/slabinfo", "proc/pressure/cpu", "proc/pressure/memory", "proc/pressure/io", "proc/pressure/irq",
	} {
		differs[CheckAsync+" "+file] = "the kernel has no asynchronous read for it (EINVAL)"
	}
	return differs
}

// Run runs all checks over all files of s as subtests of t.
func Run(t *testing.T, s *Subject) {
	t.Helper()
	checks := Checks()
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			for i, path := range s.Files {
				if heavy := name == CheckOpen || name == CheckHeld || name == CheckTools; heavy && s.Slow && i > 2 {
					t.Logf("%s: not checked: this machine is slow", path)
					continue
				}
				why, ok := s.Differs[name]
				if !ok {
					why, ok = s.Differs[name+" "+path]
				}
				if ok {
					t.Logf("%s: not checked: %s", path, why)
					continue
				}
				if why := s.Empty[path]; why != "" && !textless()[name] {
					if text, err := os.ReadFile(s.path(path)); err == nil && len(text) == 0 {
						t.Logf("%s: not checked, it is empty: %s", path, why)
						continue
					}
				}
				if err := checks[name](s, path); err != nil {
					t.Errorf("%s: %s: %v", name, s.path(path), err)
				}
			}
		})
	}
}

// path is where a file of the subject is.
func (s *Subject) path(file string) string { return filepath.Join(s.Dir, file) }
