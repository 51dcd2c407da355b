// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	miB = 1 << 20
	giB = 1 << 30
)

// golden compares a whole file with testdata/golden/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// hostText reads one of procfile's captured or synthetic files.
func hostText(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "procfile", "testdata", path))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func hostMeminfo(tb testing.TB, name string) *procfile.Meminfo {
	tb.Helper()
	m, err := procfile.ParseMeminfo(hostText(tb, "meminfo/"+name+".txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func hostCPUInfo(tb testing.TB, name string) *procfile.CPUInfo {
	tb.Helper()
	c, err := procfile.ParseCPUInfo(hostText(tb, "cpuinfo/"+name+".txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// makeHost returns a host's meminfo with the given rows in kB, in that order.
func makeHost(tb testing.TB, rows ...any) *procfile.Meminfo {
	tb.Helper()
	var text strings.Builder
	for i := 0; i < len(rows); i += 2 {
		name, unit := fmt.Sprint(rows[i]), " kB"
		if strings.HasPrefix(name, "HugePages_") {
			unit = ""
		}
		fmt.Fprintf(&text, "%-16s%8d%s\n", name+":", rows[i+1], unit)
	}
	m, err := procfile.ParseMeminfo([]byte(text.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// get returns a row that must be there.
func get(tb testing.TB, m *procfile.Meminfo, name string) uint64 {
	tb.Helper()
	v, ok := m.Get(name)
	if !ok {
		tb.Fatalf("no row %s", name)
	}
	return v
}

// expect compares rows; want holds names and values in turn.
func expect(tb testing.TB, m *procfile.Meminfo, want ...any) {
	tb.Helper()
	for i := 0; i < len(want); i += 2 {
		name := fmt.Sprint(want[i])
		var value uint64
		switch v := want[i+1].(type) {
		case int:
			value = uint64(v)
		case uint64:
			value = v
		default:
			tb.Fatalf("%s: %T is no value", name, v)
		}
		if got := get(tb, m, name); got != value {
			tb.Errorf("%s = %d, want %d", name, got, value)
		}
	}
}

func TestPolicyJSON(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		text string
	}{
		{Policy{}, `{"cpu_view":"quota","numbering":"kernel","memory_high":false,"swap":"limit","uptime":"container","loadavg":"container","host_counters":false,"on_error":"eio"}`},
		{Policy{CPUViewHost, NumberingContiguous, true, SwapNone, WhoseHost, WhoseHost, true, OnErrorHost}, `{"cpu_view":"host","numbering":"contiguous","memory_high":true,"swap":"none","uptime":"host","loadavg":"host","host_counters":true,"on_error":"host"}`},
		{Policy{CPUView: CPUViewCPUSet}, `{"cpu_view":"cpuset","numbering":"kernel","memory_high":false,"swap":"limit","uptime":"container","loadavg":"container","host_counters":false,"on_error":"eio"}`},
	} {
		text, err := json.Marshal(c.p)
		if err != nil || string(text) != c.text {
			t.Errorf("%+v became %s, %v", c.p, text, err)
		}
		var back Policy
		if err := json.Unmarshal(text, &back); err != nil || back != c.p {
			t.Errorf("%s became %+v, %v", text, back, err)
		}
	}
	var p Policy
	if err := json.Unmarshal([]byte(`{}`), &p); err != nil || p != (Policy{}) {
		t.Errorf("{} became %+v, %v", p, err)
	}
	err := json.Unmarshal([]byte(`{"cpu_view":"Quota"}`), &p)
	if err == nil || !strings.Contains(err.Error(), `"Quota": not one of quota, cpuset, host`) {
		t.Errorf("error %v", err)
	}
	if _, err := json.Marshal(Policy{Swap: 7}); err == nil || Swap(7).String() != "7" {
		t.Errorf("a choice that is none: %v, %v", Swap(7), err)
	}
}

// ratio50 is the kernel's default.
func ratio50() Overcommit { return Overcommit{Ratio: 50} }
