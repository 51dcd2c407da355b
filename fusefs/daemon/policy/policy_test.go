// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/fusefs"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// TestOptions: the table and view.Policy say the same: each option's values are
// all that its field takes, the first is the zero value, and together they reach
// every field.
func TestOptions(t *testing.T) {
	var every view.Policy
	for _, o := range Options() {
		if o.Help == "" {
			t.Errorf("%s: no help", o.Name)
		}
		if o.Name == FilesOption {
			continue
		}
		if got := o.get(view.Policy{}); len(o.Values) < 2 || got != o.Values[0] {
			t.Errorf("%s: the default is %q, the values are %q", o.Name, got, o.Values)
		}
		for _, v := range o.Values {
			p := view.Policy{}
			if err := o.set(&p, v); err != nil || o.get(p) != v {
				t.Errorf("%s: %q set gives %q, %v", o.Name, v, o.get(p), err)
			}
			if err := o.Check(v); err != nil {
				t.Errorf("%s: %q: %v", o.Name, v, err)
			}
		}
		for _, bad := range []string{"", "x", strings.ToUpper(o.Values[0]), o.Values[0] + " "} {
			if err := o.Check(bad); err == nil || !strings.Contains(err.Error(), strings.Join(o.Values, ", ")) {
				t.Errorf("%s: %q: %v, want an error with the values", o.Name, bad, err)
			}
		}
		if err := o.set(&every, o.Values[len(o.Values)-1]); err != nil {
			t.Error(err)
		}
	}
	text, err := json.Marshal(every)
	if err != nil {
		t.Fatal(err)
	}
	var fields, defaults map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	zero, err := json.Marshal(view.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(zero, &defaults); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		if value == defaults[name] {
			t.Errorf("field %s: no option changes it", name)
		}
	}
}

func TestChoices(t *testing.T) {
	var c Choices
	if c.Policy() != (view.Policy{}) || c.String() != "" || c.Check() != nil {
		t.Errorf("no choices: %+v, %q, %v", c.Policy(), c, c.Check())
	}
	for _, set := range [][2]string{{"swap", "none"}, {"cpu-view", "host"}, {"host-counters", "true"}, {"cpu-view", "cpuset"}, {"files", "meminfo"}} {
		var err error
		if c, err = c.With(set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	want := view.Policy{CPUView: view.CPUViewCPUSet, Swap: view.SwapNone, HostCounters: true}
	if got := c.Policy(); got != want {
		t.Errorf("policy %+v, want %+v", got, want)
	}
	// What wasn't chosen stays, and what was chosen as the default counts.
	base := view.Policy{MemoryHigh: true, CPUView: view.CPUViewHost}
	if got := (Choices{"cpu-view": "quota"}).Apply(base); got != (view.Policy{MemoryHigh: true}) {
		t.Errorf("applied: %+v", got)
	}
	if got := c.String(); got != "cpu-view=cpuset host-counters=true swap=none files=meminfo" {
		t.Errorf("as text: %q", got)
	}
	for _, tt := range []struct{ name, value, says string }{
		{"cpu-view", "qouta", "quota, cpuset, host"},
		{"cpu-veiw", "quota", "is it cpu-view?"},
		{"colour", "red", "unknown"},
		{"host-counters", "yes", "false, true"},
		{"files", "meminof", "is it meminfo?"},
		{"files", "", "empty"},
	} {
		if got, err := c.With(tt.name, tt.value); err == nil || !strings.Contains(err.Error(), tt.says) || !maps.Equal(got, c) {
			t.Errorf("%s=%s: %v, want an error with %q", tt.name, tt.value, err, tt.says)
		}
		if err := (Choices{tt.name: tt.value}).Check(); err == nil {
			t.Errorf("%s=%s passes the check", tt.name, tt.value)
		}
		if got := (Choices{tt.name: tt.value}).Apply(base); got != base {
			t.Errorf("%s=%s changes the policy to %+v", tt.name, tt.value, got)
		}
	}
}

func TestOver(t *testing.T) {
	low, high := Choices{"swap": "none", "uptime": "host"}, Choices{"swap": "limit"}
	if diff := cmp.Diff(Choices{"swap": "limit", "uptime": "host"}, high.Over(low)); diff != "" {
		t.Error(diff)
	}
	if len(low) != 2 || low["swap"] != "none" || len(high) != 1 {
		t.Errorf("changed: %v, %v", low, high)
	}
	if got := Choices(nil).Over(nil); len(got) != 0 {
		t.Errorf("nothing over nothing: %v", got)
	}
}

// TestDifferences: laid over the base they give the policy, for every pair of
// policies that differ in one or two options.
func TestDifferences(t *testing.T) {
	var all []view.Policy
	for _, a := range Options() {
		for _, b := range Options() {
			for _, va := range a.Values {
				for _, vb := range b.Values {
					all = append(all, Choices{a.Name: va, b.Name: vb}.Policy())
				}
			}
		}
	}
	for _, p := range all {
		for _, base := range []view.Policy{{}, all[len(all)-1], p} {
			d := Differences(p, base)
			if got := d.Apply(base); got != p {
				t.Fatalf("%v over %+v gives %+v, want %+v", d, base, got, p)
			}
			if (len(d) == 0) != (p == base) {
				t.Fatalf("%+v and %+v differ in %v", p, base, d)
			}
		}
	}
}

func TestFits(t *testing.T) {
	web := Subject{Engine: "docker", ID: "3f2a" + strings.Repeat("0", 60), Name: "web-1"}
	for _, tt := range []struct {
		match Match
		s     Subject
		want  bool
	}{
		{Match{}, web, false},
		{Match{Name: "web-1"}, web, true},
		{Match{Name: "web-*"}, web, true},
		{Match{Name: "web-?"}, web, true},
		{Match{Name: "web-[2-9]"}, web, false},
		{Match{Name: "web"}, web, false},
		{Match{Name: "*"}, web, true},
		{Match{ID: "3f2a*"}, web, true},
		{Match{ID: "3f2a"}, web, false},
		{Match{Engine: "docker"}, web, true},
		{Match{Engine: "podman"}, web, false},
		{Match{Name: "web-*", Engine: "podman"}, web, false},
		{Match{Name: "web-*", ID: "3*", Engine: "docker"}, web, true},
		{Match{Name: "web-*", ID: "4*"}, web, false},
		{Match{Name: "["}, web, false},
		{Match{Name: "mail"}, Subject{ID: "mail"}, true}, // LXC: the name is the id
		{Match{ID: "*"}, Subject{}, false},
		{Match{Name: "*"}, Subject{}, false},
		{Match{Engine: "docker"}, Subject{}, false},
	} {
		if got := tt.match.Fits(tt.s); got != tt.want {
			t.Errorf("%+v fits %+v: %v", tt.match, tt.s, got)
		}
	}
}

func TestRules(t *testing.T) {
	web, db := Subject{Engine: "docker", Name: "web"}, Subject{Engine: "podman", Name: "db"}
	rules := Rules{
		Policy: Choices{"cpu-view": "cpuset", "swap": "none", "uptime": "host", "files": "meminfo"},
		Containers: []Rule{
			{Match{Engine: "docker"}, Choices{"swap": "limit", "loadavg": "host", "memory-high": "true"}},
			{Match{Name: "web"}, Choices{"loadavg": "container", "cpu-view": "host", "on-error": "host"}},
		},
		Flags: Choices{"cpu-view": "quota", "on-error": "eio"},
	}
	for _, tt := range []struct {
		name string
		s    Subject
		own  Choices
		want Choices
	}{
		{"no rule", db, nil, Choices{"cpu-view": "quota", "swap": "none", "uptime": "host", "files": "meminfo", "on-error": "eio"}},
		{"two rules: the later one, and a flag over both", web, nil, Choices{
			"cpu-view": "quota", "swap": "limit", "uptime": "host", "files": "meminfo",
			"loadavg": "container", "memory-high": "true", "on-error": "eio",
		}},
		{"its own flags over all", web, Choices{"cpu-view": "cpuset", "files": "all"}, Choices{
			"cpu-view": "cpuset", "swap": "limit", "uptime": "host", "files": "all",
			"loadavg": "container", "memory-high": "true", "on-error": "eio",
		}},
	} {
		if diff := cmp.Diff(tt.want, rules.For(tt.s, tt.own)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", tt.name, diff)
		}
	}
	if diff := cmp.Diff(rules.For(db, nil), rules.Default()); diff != "" {
		t.Errorf("the default is not what a container without rules has:\n%s", diff)
	}
	if got := (Rules{}).For(web, nil); len(got) != 0 {
		t.Errorf("without rules: %v", got)
	}
}

func TestSelect(t *testing.T) {
	var all, defaults, withoutMeminfo []string
	for _, f := range fusefs.Files() {
		all = append(all, f.Path)
		if f.BindByDefault {
			defaults = append(defaults, f.Path)
			if f.Path != "proc/meminfo" {
				withoutMeminfo = append(withoutMeminfo, f.Path)
			}
		}
	}
	for list, want := range map[string][]string{
		"all":                            all,
		"default":                        defaults,
		"none":                           nil,
		"meminfo":                        {"proc/meminfo"},
		"proc/meminfo":                   {"proc/meminfo"},
		"/proc/meminfo":                  {"proc/meminfo"},
		"cpu/online":                     {"sys/devices/system/cpu/online"},
		"/sys/devices/system/cpu/online": {"sys/devices/system/cpu/online"},
		"meminfo, cpuinfo":               {"proc/cpuinfo", "proc/meminfo"},
		"cpuinfo,meminfo,cpuinfo":        {"proc/cpuinfo", "proc/meminfo"},
		"-meminfo":                       withoutMeminfo,
		"default,-meminfo":               withoutMeminfo,
		"default,-meminfo,meminfo":       defaults,
		"all,none,meminfo":               {"proc/meminfo"},
		"all,-all":                       nil,
		"meminfo,-none":                  {"proc/meminfo"},
	} {
		got, err := Select(list)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", list, got, err, want)
		}
	}
	// A directory stands for what is below it.
	got, err := Select("cpu")
	if err != nil || len(got) == 0 || slices.ContainsFunc(got, func(p string) bool { return !strings.HasPrefix(p, "sys/devices/system/cpu/") }) {
		t.Errorf("cpu: %q, %v", got, err)
	}
	for list, says := range map[string]string{
		"": "empty", ",": "empty", "meminfo,": "empty", "-": "empty",
		"memifo": "is it meminfo?", "-memifo": "is it meminfo?",
		"nonsense": "these are: cpuinfo", "meminfo/x": "not served", "/": "not served", "../proc/meminfo": "not served",
		strings.Repeat("x", 1000): "not served",
	} {
		if got, err := Select(list); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %q, %v, want an error with %q", list, got, err, says)
		}
	}
}

func FuzzSelect(f *testing.F) {
	for _, list := range []string{"", "default,-meminfo", "all", "none,cpu", "-pressure", "a,b,,", "/proc/../x"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		got, err := Select(list)
		if err != nil {
			return
		}
		again, err := Select(strings.Join(append([]string{"none"}, got...), ","))
		if err != nil || !slices.Equal(again, got) {
			t.Errorf("%q: %q, written as a list: %q, %v", list, got, again, err)
		}
	})
}

func TestNearest(t *testing.T) {
	known := []string{"cpu-view", "cpu-numbering", "uptime", "swap", "on-error"}
	for word, want := range map[string]string{
		"cpu-veiw": "cpu-view", "cpu_view": "cpu-view", "cpuview": "cpu-view", "uptme": "uptime", "swp": "swap",
		"onerror": "on-error", "": "", "x": "", "colour": "", "cpu": "", strings.Repeat("swap", 50): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("nearest to %.20q: %q, want %q", word, got, want)
		}
	}
}

func TestFilePath(t *testing.T) {
	for name, want := range map[string]string{
		"meminfo": "proc/meminfo", "/proc/meminfo": "proc/meminfo", "proc/stat": "proc/stat", "pressure/cpu": "proc/pressure/cpu",
		"cpu/online": "sys/devices/system/cpu/online", "/sys/devices/system/cpu/online": "sys/devices/system/cpu/online",
		"node/node0/meminfo": "sys/devices/system/node/node0/meminfo", "cpu/cpu0/topology/core_id": "sys/devices/system/cpu/cpu0/topology/core_id",
	} {
		if got, err := FilePath(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, says := range map[string]string{
		"memifo": "is it meminfo?", "pressure": "these are", "": "not served", "../etc/passwd": "not served", "cpu/../../../etc": "not served", "all": "not served",
	} {
		if got, err := FilePath(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %q, %v, want %q", name, got, err, says)
		}
	}
}
