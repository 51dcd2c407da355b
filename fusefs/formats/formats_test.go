// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// Texts that captured hosts don't have.
func moreTexts() map[string]string {
	return map[string]string{
		"proc/pressure/cpu":    "some avg10=1.20 avg60=0.50 avg300=3.00 total=3775966947\nfull avg10=0.00 avg60=0.10 avg300=0.00 total=7\n",
		"proc/pressure/memory": "some avg10=1.20 avg60=0.50 avg300=3.00 total=3775966947\nfull avg10=0.00 avg60=0.10 avg300=0.00 total=7\n",
		"proc/pressure/io":     "some avg10=1.20 avg60=0.50 avg300=3.00 total=3775966947\nfull avg10=0.00 avg60=0.10 avg300=0.00 total=7\n",
		"proc/pressure/irq":    "full avg10=0.00 avg60=0.10 avg300=0.00 total=7\n",
		"proc/slabinfo": "slabinfo - version: 2.1\n" +
			"# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>\n" +
			"dentry             10080  10080    192   21    1 : tunables    0    0    0 : slabdata    480    480      0\n",
	}
}

// hostTexts are the served files of a captured host, by path, and such as no host
// has.
func hostTexts(t *testing.T, h *fixture.Host) map[string]string {
	t.Helper()
	texts := moreTexts()
	err := filepath.WalkDir(h.Root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		path, err := filepath.Rel(h.Root, at)
		if err != nil {
			return err
		}
		if _, ok := Lookup(path); ok {
			text, err := os.ReadFile(at)
			texts[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// neverSeen are rows of which no captured host has a field, and why.
func neverSeen() map[string]string {
	const s390, old = "s390 has it, which nobody captured", "a kernel older or newer than those captured has it"
	return map[string]string{
		"proc/cpuinfo # processors":      s390,
		"proc/cpuinfo cpu# cpu number":   s390,
		"proc/cpuinfo *":                 "x86 and arm64 have no text around the CPUs",
		"proc/stat line #":               "every line is understood",
		"proc/stat *":                    "no kernel has other lines",
		"proc/pressure/cpu *":            "no kernel has other keys",
		"proc/pressure/memory *":         "no kernel has other keys",
		"proc/pressure/io *":             "no kernel has other keys",
		"proc/pressure/irq *":            "no kernel has other keys",
		"proc/vmstat workingset_refault": old, "proc/vmstat workingset_activate": old, "proc/vmstat workingset_restore": old,
		"proc/vmstat numa_task_migrated":                              old,
		"proc/vmstat numa_task_swapped":                               old,
		"proc/vmstat nr_tlb_*":                                        "only kernels that debug TLB flushes have them",
		"sys/devices/system/node/has_normal_memory has_normal_memory": "it isn't captured",
		"sys/devices/system/node/node#/meminfo *":                     old,
	}
}

func TestEveryFieldHasARow(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range fixture.Names(t) {
		for path, text := range hostTexts(t, fixture.Load(t, name)) {
			file, _ := Lookup(path)
			for _, field := range Split(path, text) {
				row, ok := file.Row(field.Name)
				if !ok {
					t.Errorf("%s: %s: %q has no row", name, path, field.Name)
				}
				if strings.HasPrefix(field.Name, "line ") {
					t.Errorf("%s: %s: %q isn't understood", name, path, field.Value)
				}
				seen[file.Path+" "+row.Field] = true
			}
		}
	}
	for _, file := range Files() {
		for _, row := range file.Rows {
			key := file.Path + " " + row.Field
			if why, never := neverSeen()[key]; never == seen[key] {
				t.Errorf("%s: seen in a captured host: %v; said to be never seen: %q", key, seen[key], why)
			}
		}
	}
}

func TestRows(t *testing.T) {
	for _, file := range Files() {
		for _, row := range file.Rows {
			key := file.Path + " " + row.Field
			variants := append([]Variant{{Kind: row.Kind, Formula: row.Formula, Inputs: row.Inputs, Policy: "-", In: func(view.Policy) bool { return true }}}, row.With...)
			for _, v := range variants {
				if v.Formula == "" || strings.Contains(v.Formula, "\n") || v.Policy == "" || v.In == nil {
					t.Errorf("%s: %+v", key, v)
				}
				if needs := v.Kind == Cgroup || v.Kind == Computed; needs && len(v.Inputs) == 0 {
					t.Errorf("%s: %s of nothing", key, v.Kind)
				}
				for _, in := range v.Inputs {
					checkInput(t, key, in)
				}
			}
		}
	}
}

// checkInput says whether an input can be what it says.
func checkInput(t *testing.T, key string, in Input) {
	t.Helper()
	switch in.From {
	case OfInit, OfTasks, OfClock:
		if in.Name != "" || in.V1 != "" {
			t.Errorf("%s: %+v has a name", key, in)
		}
	case OfShown:
		path, field := in.FileField()
		file, ok := Lookup(path)
		if !ok {
			t.Errorf("%s: %s isn't served", key, path)
		} else if _, ok := file.Row(field); !ok && !slices.ContainsFunc(file.Rows, func(r Row) bool { return match(field, r.Field) }) {
			t.Errorf("%s: %s has no field %s", key, path, field)
		}
		if in.V1 != "" {
			t.Errorf("%s: %+v of the host's has a name on v1", key, in)
		}
	case OfTerm:
		if !slices.ContainsFunc(Terms(), func(term Term) bool { return term.Name == in.Name }) {
			t.Errorf("%s: there is no term %q", key, in.Name)
		}
	case OfHost:
		if in.Name == "" || in.V1 != "" {
			t.Errorf("%s: %+v", key, in)
		}
	default:
		if in.Name == "" && in.V1 == "" {
			t.Errorf("%s: an input without a name", key)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"cpu# user", "cpu0 user", true},
		{"cpu# user", "cpu1024 user", true},
		{"cpu# user", "cpu user", false},
		{"cpu# user", "cpu0 user ", false},
		{"cpu# *", "cpu0 model name", true},
		{"cpu# *", "cpu0 ", false},
		{"cpu", "cpu", true},
		{"cpu", "cp", false},
		{"*", "", false},
		{"*", "x", true},
		{"Cma*", "Cma", false},
		{"*PmdMapped", "ShmemPmdMapped", true},
		{"* reads", "vda reads merged", false},
		{"a#b#", "a1b22", true},
		{"a#b#", "a1b", false},
		{"sys/devices/system/node/node#/meminfo", "sys/devices/system/node/node12/meminfo", true},
	} {
		if got := match(c.pattern, c.name); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		path, field string
		p           view.Policy
		want        string
	}{
		{"proc/stat", "ctxt", view.Policy{}, "constant"},
		{"proc/stat", "ctxt", view.Policy{HostCounters: true}, "host"},
		{"proc/meminfo", "SwapTotal", view.Policy{}, "computed"},
		{"proc/meminfo", "SwapTotal", view.Policy{Swap: view.SwapNone}, "constant"},
		{"proc/cpuinfo", "cpu3 processor", view.Policy{}, "host"},
		{"proc/cpuinfo", "cpu3 processor", view.Policy{Numbering: view.NumberingContiguous}, "computed"},
		{"sys/devices/system/cpu/online", "online", view.Policy{CPUView: view.CPUViewHost}, "host"},
		{"sys/devices/system/cpu/possible", "possible", view.Policy{}, "host"},
		{"sys/devices/system/cpu/cpu0/topology/core_id", "core_id", view.Policy{}, "host"},
		{"sys/devices/system/node/node3/meminfo", "MemTotal", view.Policy{}, "computed"},
		{"proc/swaps", "none type", view.Policy{}, "invented"},
		{"proc/pressure/cpu", "some avg10", view.Policy{}, "cgroup"},
	} {
		file, ok := Lookup(c.path)
		row, found := file.Row(c.field)
		if got := row.Under(c.p).Kind.String(); !ok || !found || got != c.want {
			t.Errorf("%s %s with %+v: %s, %v, %v", c.path, c.field, c.p, got, ok, found)
		}
	}
	if _, ok := Lookup("proc/version"); ok {
		t.Error("proc/version is known")
	}
}

func TestHostsIn(t *testing.T) {
	for _, c := range []struct {
		path string
		s    Situation
		want bool
	}{
		{"proc/meminfo", Situation{}, false},
		{"proc/meminfo", Situation{Root: true}, true},
		{"proc/cpuinfo", Situation{Root: true}, false},
		{"proc/stat", Situation{Policy: view.Policy{CPUView: view.CPUViewHost}}, true},
		{"proc/uptime", Situation{Init: true}, false},
		{"proc/uptime", Situation{}, true},
		{"proc/uptime", Situation{Init: true, HostPID: true}, true},
		{"proc/uptime", Situation{Init: true, Policy: view.Policy{Uptime: view.WhoseHost}}, true},
		{"proc/uptime", Situation{TimeNamespace: true, Policy: view.Policy{Uptime: view.WhoseHost}}, false},
		{"proc/loadavg", Situation{Policy: view.Policy{Loadavg: view.WhoseHost}}, true},
	} {
		file, _ := Lookup(c.path)
		if why, got := file.HostsIn(c.s); got != c.want || got != (why != "") {
			t.Errorf("%s, %+v: %v, %q", c.path, c.s, got, why)
		}
	}
}

func ExampleSplit() {
	for _, f := range Split("proc/meminfo", "MemTotal:        2977308 kB\nHugePages_Total:      16\n") {
		fmt.Printf("%s = %s\n", f.Name, f.Value)
	}
	// Output:
	// MemTotal = 2977308 kB
	// HugePages_Total = 16
}
