// SPDX-License-Identifier: Apache-2.0

package apart

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// TestRoundTrip measures files of which one says what it must and the others
// don't, through both ends.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	meminfo := file("meminfo", "MemTotal:       262144 kB\nMemFree:        1 kB\n")
	file("cpuinfo", "processor\t: 0\nmodel name\t: a\n\n")
	plan := Plan{
		Modes: []readbench.Mode{readbench.Hot}, Readers: 1, Duration: 100 * time.Millisecond, Proc: dir,
		Rows: []Row{
			{File: "value", Tree: "right", Path: meminfo, Key: "MemTotal:", Value: "262144 kB"},
			{File: "value", Tree: "wrong", Path: meminfo, Key: "MemTotal:", Value: "1 kB"},
			{File: "count", Tree: "right", Path: meminfo, Prefix: "Mem", Lines: 2},
			{File: "count", Tree: "wrong", Path: meminfo, Prefix: "Mem", Lines: 3},
			{File: "text", Tree: "right", Path: file("online", "0-1\n"), Text: "0-1\n"},
			{File: "text", Tree: "wrong", Path: meminfo, Text: "0-1\n"},
			{File: "anything", Tree: "right", Path: meminfo},
		},
	}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if err := Measure(t.Context(), bytes.NewReader(text), &answer); err != nil {
		t.Fatal(err)
	}
	told := 0
	report, err := Follow(&answer, func(readbench.Progress) { told++ })
	if err != nil || told == 0 || len(report.Results) != len(plan.Rows) {
		t.Fatalf("%d lines of progress, %d results, %v", told, len(report.Results), err)
	}
	for _, r := range report.Results {
		if (r.Errors > 0) != (r.Tree == "wrong") {
			t.Errorf("%s, which is %s: %d errors, %q", r.File, r.Tree, r.Errors, r.FirstError)
		}
	}
}

func TestMeasureRefuses(t *testing.T) {
	for _, text := range []string{"", "nonsense", `{"rows":[]}`, `{"readers":-1}`} {
		if err := Measure(t.Context(), strings.NewReader(text), io.Discard); err == nil {
			t.Errorf("the plan %q was carried out", text)
		}
	}
}

func TestFollowRefuses(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   error
	}{
		{"", ErrNoReport},
		{"{}\n" + `{"progress":{}}`, ErrNoReport},
		{"panic: nonsense\n", nil},
		{strings.Repeat("x", maxLine+1), nil},
	} {
		if _, err := Follow(strings.NewReader(c.answer), nil); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%.40q: %v", c.answer, err)
		}
	}
}
