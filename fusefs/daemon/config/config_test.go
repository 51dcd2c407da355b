// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       File
	}{
		{"empty", "", File{}},
		{"comments", "# nothing\n\n# at all", File{}},
		{"everything", `
mountpoint = "/var/lib/views"
state-dir = '/run/views'
log-level = "debug"
log-format = "json"
[policy]
cpu-view = "cpuset" # for allocators
cpu-numbering = "contiguous"
uptime = "host"
loadavg = "host"
host-counters = true
memory-high = true
swap = "none"
on-error = "host"
files = ["default", "-meminfo"]
[[container]]
name = "web-*"
cpu-view = "host"
files = "all,-cpu/online"
[[container]]
id = "3f*"
engine = "docker"
host-counters = false
[[container]]
engine = "lxc"
`, File{
			Mountpoint: "/var/lib/views", StateDir: "/run/views", LogLevel: "debug", LogFormat: "json",
			Policy: policy.Choices{
				"cpu-view": "cpuset", "cpu-numbering": "contiguous", "uptime": "host", "loadavg": "host",
				"host-counters": "true", "memory-high": "true", "swap": "none", "on-error": "host", "files": "default,-meminfo",
			},
			Containers: []policy.Rule{
				{Match: policy.Match{Name: "web-*"}, Choices: policy.Choices{"cpu-view": "host", "files": "all,-cpu/online"}},
				{Match: policy.Match{ID: "3f*", Engine: "docker"}, Choices: policy.Choices{"host-counters": "false"}},
				{Match: policy.Match{Engine: "lxc"}},
			},
		}},
		{"policy in other forms", "policy.swap = \"none\"\npolicy.\"uptime\" = \"host\"", File{Policy: policy.Choices{"swap": "none", "uptime": "host"}}},
		{"policy as a value", `policy = {swap = "none", memory-high = true}`, File{Policy: policy.Choices{"swap": "none", "memory-high": "true"}}},
		{"no files", "[policy]\nfiles = []", File{Policy: policy.Choices{"files": "none"}}},
		{"the order of tables", "[[container]]\nname='a'\n[policy]\nswap='none'\n[[container]]\nname='b'", File{
			Policy:     policy.Choices{"swap": "none"},
			Containers: []policy.Rule{{Match: policy.Match{Name: "a"}}, {Match: policy.Match{Name: "b"}}},
		}},
		{"DOS lines", "[policy]\r\nswap = \"none\"\r\n", File{Policy: policy.Choices{"swap": "none"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse("x.toml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestBad: every problem is named with file, line and key, what is allowed, and
// the nearest name.
func TestBad(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // an error for each, in this order, that contains it
	}{
		{"no TOML", "mountpoint = \n", []string{"x.toml:1: column"}},
		{"not text", "\xff\xfe", []string{"x.toml:1: column 1: not TOML"}},
		{"twice", "log-level = 'info'\nlog-level = 'info'", []string{"x.toml:2: column 1: not TOML: key log-level is already defined"}},
		{"table twice", "[policy]\n\n[policy]", []string{"x.toml:3: "}},

		{"unknown key", "state = '/x'\n", []string{"x.toml:1: state: unknown key; there are mountpoint, state-dir, log-level, log-format, policy, container"}},
		{"misspelt", "\nmount-point = '/x'\n", []string{"x.toml:2: mount-point: unknown key; is it mountpoint?"}},
		{"misspelt option", "[policy]\ncpu_view = 'quota'", []string{"x.toml:2: policy.cpu_view: unknown key; is it cpu-view?"}},
		{"misspelt in a container", "[[container]]\nname = 'a'\n\nmemory-hihg = true", []string{"x.toml:4: container.memory-hihg: unknown key; is it memory-high?"}},
		{"match in policy", "[policy]\nengine = 'docker'", []string{"x.toml:2: policy.engine: unknown key; there are cpu-view, "}},
		{"option outside", "cpu-view = 'quota'", []string{"x.toml:1: cpu-view: unknown key"}},
		{"unknown table", "[polcy]\nx = 1\ny = 2", []string{"x.toml:1: polcy: unknown table; is it policy?"}},
		{"unknown tables", "[[containers]]\nx = 1\n[policy.more]\ny = 2", []string{"x.toml:1: containers: unknown table; is it container?", "x.toml:3: policy.more: unknown table"}},
		{"table below a key", "[policy]\ncpu-view.x = 'quota'", []string{"x.toml:2: policy.cpu-view.x: unknown key"}},
		{"odd key", "\"a b\\n\" = 1", []string{`x.toml:1: "a b\n": unknown key`}},

		{"value", "[policy]\ncpu-view = 'qouta'", []string{`x.toml:2: policy.cpu-view: "qouta": must be one of quota, cpuset, host`}},
		{"value of a container", "[[container]]\nname = 'a'\non-error = 'EIO'", []string{`x.toml:3: container.on-error: "EIO": must be one of eio, host`}},
		{"log", "log-level = 'loud'\nlog-format = 'xml'", []string{"x.toml:1: log-level: \"loud\": must be one of debug, info, warn, error", "x.toml:2: log-format: \"xml\": must be one of text, json"}},
		{"paths", "mountpoint = 'a'\nstate-dir = ''", []string{`x.toml:1: mountpoint: "a": must be an absolute path`, `x.toml:2: state-dir: "": must be an absolute path`}},
		{"pattern", "[[container]]\nname = '['", []string{`x.toml:2: container.name: "[": must be a pattern`}},
		{"engine", "[[container]]\nengine = 'dokcer'", []string{`x.toml:2: container.engine: "dokcer": must be one of docker, podman`}},
		{"file", "[policy]\nfiles = ['default', '-memifo']", []string{"x.toml:2: policy.files: \"default,-memifo\": \"memifo\" is not served; is it meminfo?"}},

		{"string for bool", "[policy]\nhost-counters = 'true'", []string{"x.toml:2: policy.host-counters: must be true or false, not a string"}},
		{"bool for string", "[policy]\nswap = true", []string{"x.toml:2: policy.swap: must be a string, one of limit, none, not true"}},
		{"number for string", "state-dir = 7", []string{"x.toml:1: state-dir: must be a string, not a number"}},
		{"time for string", "[policy]\nuptime = 10:00:00", []string{"x.toml:2: policy.uptime: must be a string, one of container, host, not a time"}},
		{"array for string", "[policy]\nuptime = ['host']", []string{"x.toml:2: policy.uptime: must be a string, one of container, host, not an array"}},
		{"table for string", "state-dir = {}", []string{"x.toml:1: state-dir: must be a string, not a table"}},
		{"number for files", "[policy]\nfiles = 1", []string{"x.toml:2: policy.files: must be a string, not a number"}},
		{"number among files", "[policy]\nfiles = ['meminfo', 1]", []string{"x.toml:2: policy.files: must be an array of strings, not with a number"}},
		{"policy a value", "policy = 'quota'", []string{"x.toml:1: policy: must be a table"}},
		{"policies", "[[policy]]\nswap = 'none'", []string{"x.toml:1: policy: there is one"}},

		{"container alone", "[container]\nname = 'a'", []string{"x.toml:1: container: there may be many: write [[container]]"}},
		{"containers as values", "container = [{name = 'a'}]", []string{"x.toml:1: container: there may be many: write [[container]]"}},
		{"container dotted", "container.name = 'a'", []string{"x.toml:1: container.name: there may be many"}},
		{"no match", "[[container]]\nswap = 'none'\n[policy]\nswap = 'none'\n[[container]]", []string{"x.toml:1: container: doesn't say which", "x.toml:5: container: doesn't say which"}},
		{"empty match", "[[container]]\nname = ''", []string{"x.toml:1: container: doesn't say which"}},

		{"all at once", "log-level = 1\n[policy]\nswap = 'x'\nswop = 'none'\n[[container]]\nname = 1\nuptime = 'x'\n", []string{
			"x.toml:1: log-level: ", "x.toml:3: policy.swap: ", "x.toml:4: policy.swop: unknown key; is it swap?",
			"x.toml:5: container: doesn't say which", "x.toml:6: container.name: ", "x.toml:7: container.uptime: ",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse("x.toml", []byte(tt.text))
			if err == nil {
				t.Fatalf("taken: %+v", got)
			}
			if diff := cmp.Diff(File{}, got); diff != "" {
				t.Errorf("a bad file says something:\n%s", diff)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Errorf("%d errors, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if i < len(lines) && !strings.Contains(lines[i], want) {
					t.Errorf("error %d: %s\nwant %s", i, lines[i], want)
				}
			}
			var e *Error
			if !errors.As(err, &e) || e.Path != "x.toml" || e.Line < 1 {
				t.Errorf("not an *Error with a place: %#v", err)
			}
		})
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(good, []byte("log-level = 'warn'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func(string) (File, error){Read, Load} {
		if f, err := read(good); err != nil || f.LogLevel != "warn" {
			t.Errorf("%+v, %v", f, err)
		}
		if _, err := read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("a named file that is missing: %v", err)
		}
	}
	if _, err := Read(dir); err == nil {
		t.Error("a directory was read")
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Read(fifo); err != nil || f.LogLevel != "" { // nobody writes: empty
		t.Errorf("a FIFO: %+v, %v", f, err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), maxSize), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(large); err == nil || !strings.Contains(err.Error(), large) {
		t.Errorf("a file of 2 MiB: %v", err)
	}
}

// TestSample: the sample says what is so without it, and with its comments
// taken off it is a configuration that sets every key.
func TestSample(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse("deploy/config.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(File{}, f); diff != "" {
		t.Errorf("the sample changes something as it is:\n%s", diff)
	}
	var plain []string
	for line := range strings.Lines(string(text)) {
		// "#key" is a line of the configuration, "# word" is a comment.
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") && strings.TrimSpace(rest) != "" {
			line = rest
		}
		plain = append(plain, line)
	}
	f, err = Parse("deploy/config.toml", []byte(strings.Join(plain, "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings(&f) {
		if *s.at == "" {
			t.Errorf("nothing about %s", s.name)
		}
	}
	for _, o := range policy.Options() {
		value, said := f.Policy[o.Name]
		if !said {
			t.Errorf("nothing about %s", o.Name)
		} else if o.Name != policy.FilesOption && value != o.Values[0] {
			t.Errorf("%s = %q is not the default", o.Name, value)
		}
	}
	if len(f.Containers) == 0 {
		t.Error("no [[container]]")
	}
}

// TestDocumented: docs/POLICIES.md has every option with its values, and the
// configuration in it is right.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/POLICIES.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, o := range policy.Options() {
		heading := "\n### `" + o.Name + "`"
		if o.Values != nil {
			heading += ": " + strings.Join(o.Values, ", ")
		}
		if !strings.Contains(doc, heading+"\n") {
			t.Errorf("no %q", strings.TrimSpace(heading))
		}
	}
	_, sample, _ := strings.Cut(doc, "```toml\n")
	sample, _, ok := strings.Cut(sample, "```")
	if f, err := Parse("docs/POLICIES.md", []byte(sample)); !ok || err != nil || len(f.Containers) == 0 || f.Policy == nil {
		t.Errorf("its sample: %+v, %v", f, err)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log, err := Logger(&out, "", "")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("no")
	log.Info("yes")
	if got := out.String(); strings.Contains(got, "no") || !strings.Contains(got, "msg=yes") {
		t.Errorf("default: %q", got)
	}
	out.Reset()
	if log, err = Logger(&out, "error", "json"); err != nil {
		t.Fatal(err)
	}
	log.Warn("no")
	log.Error("yes")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"msg":"yes"`) {
		t.Errorf("errors as JSON: %q", got)
	}
	for _, bad := range [][2]string{{"loud", ""}, {"INFO+1", ""}, {"", "xml"}} {
		if _, err := Logger(&out, bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "must be one of") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "mountpoint = '/x'", "[policy]\nfiles = ['all', '-meminfo']\nswap = 'none'", "[[container]]\nname = 'a*'\nhost-counters = true",
		"policy = {swap = 'none'}", "container = [{}]", "[policy]\nswap.x = {y = [1, {z = 2}]}", "a = '''\nb'''", "[[a.b]]\n[a.b.c]\nd = 1979-05-27",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Parse("x.toml", text)
		if err != nil {
			if diff := cmp.Diff(File{}, got); diff != "" {
				t.Errorf("a bad file says something:\n%s", diff)
			}
			return
		}
		for _, c := range append([]policy.Rule{{Choices: got.Policy, Match: policy.Match{Name: "x"}}}, got.Containers...) {
			if err := c.Choices.Check(); err != nil {
				t.Errorf("%+v was taken: %v", c, err)
			}
			if c.Match == (policy.Match{}) {
				t.Errorf("%+v matches nothing", c)
			}
		}
	})
}
