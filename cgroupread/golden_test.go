// SPDX-License-Identifier: Apache-2.0

package cgroupread_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

var update = flag.Bool("update", false, "write the golden files anew")

// methods are all that a Reader reads. Each gives its result as text, and what
// it was given to append to as it was if there is an error.
func methods() []method {
	return []method{
		{"Memory", func(r cgroupread.Reader) (string, error) {
			chain, err := r.Memory()
			return lines(chain), err
		}},
		{"CPU", func(r cgroupread.Reader) (string, error) {
			chain, err := r.CPU()
			return fmt.Sprintf("%+v\n", chain), err
		}},
		{"CPUTime", func(r cgroupread.Reader) (string, error) {
			var time limits.CPUTime
			err := r.CPUTime(&time)
			return fmt.Sprintf("%+v\n", time), err
		}},
		{"Hugetlb", func(r cgroupread.Reader) (string, error) {
			chain, err := r.Hugetlb()
			return lines(chain), err
		}},
		{"IO", func(r cgroupread.Reader) (string, error) {
			devices, counted, err := r.IO([]limits.DeviceIO{{Major: 1}})
			return fmt.Sprintf("counted %v\n", counted) + lines(kept(devices, limits.DeviceIO{Major: 1}, err)), err
		}},
		{"MemoryCounters", func(r cgroupread.Reader) (string, error) {
			counters, err := r.MemoryCounters([]limits.Counter{{Name: "kept"}})
			return lines(kept(counters, limits.Counter{Name: "kept"}, err)), err
		}},
		{"NodeMemory", func(r cgroupread.Reader) (string, error) {
			nodes, err := r.NodeMemory([]limits.NodeMemory{{Node: 99}})
			return lines(kept(nodes, limits.NodeMemory{Node: 99}, err)), err
		}},
		{"Mems", func(r cgroupread.Reader) (string, error) {
			nodes, ok, err := r.Mems()
			return fmt.Sprintf("%v %v\n", nodes, ok), err
		}},
		{"Pressure", func(r cgroupread.Reader) (string, error) {
			var all strings.Builder
			for _, kind := range []string{"cpu", "memory", "io", "irq"} {
				text, ok, err := r.Pressure([]byte{'>'}, kind)
				if err != nil {
					return "", err
				}
				fmt.Fprintf(&all, "%s %v\n%s", kind, ok, kept(text, '>', nil))
			}
			return all.String(), nil
		}},
		{"Slabinfo", func(r cgroupread.Reader) (string, error) {
			text, ok, err := r.Slabinfo([]byte{'>'})
			return fmt.Sprintf("%v\n%s", ok, kept(text, '>', err)), err
		}},
		{"Tasks", func(r cgroupread.Reader) (string, error) {
			tids, complete, err := r.Tasks([]int{-1}, 1000)
			slices.Sort(tids) // they come in the order in which directories are listed
			return fmt.Sprintf("%v %v\n", kept(tids, -1, err), complete), err
		}},
	}
}

type method struct {
	name string
	read func(cgroupread.Reader) (string, error)
}

// kept is what was appended behind the first element, which must still be there,
// and alone beside an error.
func kept[T comparable](all []T, first T, err error) []T {
	if len(all) == 0 || all[0] != first || err != nil && len(all) > 1 {
		panic(fmt.Sprintf("appended to %v: %v, %v", first, all, err))
	}
	return all[1:]
}

func lines[T any](all []T) string {
	var b strings.Builder
	for _, one := range all {
		fmt.Fprintf(&b, "%+v\n", one)
	}
	return b.String()
}

// Every captured host through every method, for each cgroup of the tree that
// capture.sh draws, with the files that were read. Threads are written here,
// since captures don't have them.
func TestGolden(t *testing.T) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) {
			h := fixture.Load(t, name)
			l := detect(t, h)
			for _, file := range []string{"sys/fs/cgroup/memory%s/tasks", "sys/fs/cgroup%s/cgroup.threads"} {
				if (l.Mode() == cgroupread.V2) == strings.Contains(file, "threads") {
					h.Write(fmt.Sprintf(file, fixture.Container), "1000\n1002\n")
					h.Write(fmt.Sprintf(file, fixture.Container+"/init.scope"), "")
					h.Write(fmt.Sprintf(file, fixture.Sibling), "0\n1001\n")
				}
			}
			var got strings.Builder
			for _, path := range []string{fixture.Container, fixture.Base, fixture.Container + "/init.scope", "/"} {
				cg := open(t, l, path)
				for _, m := range methods() {
					var record cgroupread.Record
					text, err := m.read(cg.Reader(&record))
					if err != nil {
						t.Errorf("%s of %s: %v", m.name, path, err)
					}
					fmt.Fprintf(&got, "== %s of %s\n%s", m.name, path, text)
					record.Each(func(path string, text []byte) {
						size := "not there"
						if text != nil {
							size = fmt.Sprintf("%d bytes", len(text))
						}
						fmt.Fprintf(&got, "# %s: %s\n", strings.TrimPrefix(path, h.Root), size)
					})
				}
			}
			file := filepath.Join("testdata/golden", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Errorf("%s (-want +got)\n%s", file, d)
			}
		})
	}
}
