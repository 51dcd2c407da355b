// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/readbench"
)

// report is a run in which ours takes so many times as long as the null server.
func report(ratio float64) readbench.Report {
	row := func(tree string, ns int64, ratio float64) readbench.Result {
		return readbench.Result{
			File: "meminfo", Tree: tree, Mode: readbench.Hot, Readers: 1, Containers: 1, Reads: 10,
			P50: ns, P90: ns, P99: ns, ReadsPerSecond: 1, RatioNull: ratio,
		}
	}
	return readbench.NewReport([]readbench.Result{row(readbench.NullTree, 1000, 1), row("ours", int64(1000*ratio), ratio)}, readbench.Host{})
}

func TestWrite(t *testing.T) {
	before := report(1.2)
	wrong := report(1.2)
	wrong.Results[1].Errors, wrong.Results[1].FirstError = 4, "content: empty"
	watched := report(1.2)
	watched.Server = []readbench.Use{{Mode: readbench.Hot, Wall: 1}}
	page := filepath.Join(t.TempDir(), "page.svg")
	for name, c := range map[string]struct {
		o      Output
		r      readbench.Report
		says   []string
		hides  []string
		failed string
	}{
		"tables":      {Output{}, report(1.2), []string{"FILE"}, []string{"SERVER", "CHANGE", "{"}, ""},
		"server":      {Output{}, watched, []string{"FILE", "\nSERVER"}, nil, ""},
		"JSON":        {Output{JSON: true}, report(1.2), []string{`"results"`}, []string{"FILE", "changes"}, ""},
		"wrong":       {Output{}, wrong, []string{"4 reads failed"}, nil, "meminfo of tree ours: 4 reads failed: content: empty"},
		"compared":    {Output{Before: &before}, report(1.5), []string{"+25 %", "1 of 1 rows are slower"}, nil, ""},
		"in JSON":     {Output{JSON: true, Before: &before}, report(1.5), []string{`"slower": 0.25`}, nil, ""},
		"too slow":    {Output{Before: &before, Baseline: "old", FailSlower: 0.2}, report(1.5), []string{"+25 %"}, nil, "25 % slower than in old"},
		"slow enough": {Output{Before: &before, FailSlower: 0.3}, report(1.5), []string{"+25 %"}, nil, ""},
		"plot":        {Output{Plot: page}, report(1.2), []string{"FILE"}, nil, ""},
		"no plot":     {Output{Plot: "/no/such/dir/x.svg"}, report(1.2), nil, []string{"FILE"}, "--plot: open /no/such/dir/x.svg"},
	} {
		var b strings.Builder
		err := c.o.Write(&b, c.r)
		if (err == nil) != (c.failed == "") || err != nil && !strings.Contains(err.Error(), c.failed) {
			t.Errorf("%s: %v, want %q", name, err, c.failed)
		}
		for _, word := range c.says {
			if !strings.Contains(b.String(), word) {
				t.Errorf("%s: no %q in\n%s", name, word, b.String())
			}
		}
		for _, word := range c.hides {
			if strings.Contains(b.String(), word) {
				t.Errorf("%s: %q in\n%s", name, word, b.String())
			}
		}
	}
	if text, err := os.ReadFile(page); err != nil || !strings.HasPrefix(string(text), "<svg") {
		t.Errorf("the page: %.40q, %v", text, err)
	}
	other := report(1)
	other.Results[1].File = "stat"
	if err := (Output{Before: &before}).Write(&strings.Builder{}, other); !errors.Is(err, readbench.ErrNothingInCommon) {
		t.Errorf("nothing in common: %v", err)
	}
}

func TestReadReport(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	var b strings.Builder
	if err := errors.Join(Output{JSON: true}.Write(&b, report(2)), os.WriteFile(good, []byte(b.String()), 0o600), os.WriteFile(bad, []byte("FILE"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err := ReadReport(good); err != nil || len(r.Results) != 2 || r.Results[1].RatioNull != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, path := range []string{bad, filepath.Join(dir, "missing")} {
		if _, err := ReadReport(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
