// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// shares is how a tool says that a window was spent, in percent of all CPUs that
// it knows.
type shares struct{ busy, steal, idle float64 }

// tool is a program that watches CPUs for some time.
type tool struct {
	name   string
	needs  string // the program
	script string // %d is the window in seconds
	parse  func(t *testing.T, output string) shares
}

// fast are tools that cost little CPU time themselves.
func fast() []tool {
	return []tool{
		{"top", "top", "top -b -w 200 -n 2 -d %d", parseTop},
		{"vmstat", "vmstat", "vmstat -n %d 2", parseVmstat},
		{"mpstat", "mpstat", "mpstat -P ALL %d 1", parseMpstat},
		{"iostat", "iostat", "iostat -c -y %d 1", parseIostat},
	}
}

// all are fast and those that have an interpreter or a server to start.
func all() []tool {
	return append(fast(),
		tool{"psutil", python, python + ` -c 'import psutil
print(psutil.cpu_times_percent(%d))'`, parsePsutil},
		tool{"node-exporter", exporter, exporting(`metrics("cpu") # the first one costs more
print(metrics("cpu")); print("@@"); time.sleep(%d); print(metrics("cpu"))`), parseScrapes},
		tool{"htop", "htop", watchHtop, parseHtop},
	)
}

// Debian's, which has the modules of Debian's packages.
const (
	python   = "/usr/bin/python3"
	exporter = "prometheus-node-exporter"
)

// exporting starts node-exporter on the container's own loopback around a script
// in python that can ask it: metrics(COLLECTOR) gives its text.
func exporting(script string) string {
	return exporter + ` --web.listen-address=127.0.0.1:9100 >/dev/null 2>&1 &
pid=$!
` + python + ` -c 'import time, urllib.request as u
def metrics(collector):
    while True:
        try: return u.urlopen("http://127.0.0.1:9100/metrics?collect[]=" + collector).read().decode()
        except OSError: time.sleep(0.05)
` + script + `'
status=$?; kill $pid; exit $status`
}

// watchHtop starts htop in a terminal of tmux's, and prints the number of CPUs
// that it should know, and its screen after it was redrawn once.
const watchHtop = `grep -c '^cpu[0-9]' /proc/stat
export HOME=/tmp TERM=xterm
in_tmux() { tmux -f /dev/null -S /tmp/tmux "$@"; }
uptime_shown() { in_tmux capture-pane -p | sed -n 's/.*Uptime: //p'; }
in_tmux new-session -d -x 150 -y 40 "htop -C -d %d0" || exit
until first=$(uptime_shown); [ -n "$first" ]; do sleep 0.1; done
while [ "$(uptime_shown)" = "$first" ]; do sleep 0.3; done
in_tmux capture-pane -p
in_tmux kill-server`

// parseHtop reads the meters of the CPUs, "0[||||   50.0%]". One that isn't shown
// has 0.
func parseHtop(t *testing.T, output string) shares {
	t.Helper()
	cpus, screen, _ := strings.Cut(output, "\n")
	sum := 0.0
	for _, meter := range regexp.MustCompile(`(?m)\d\[[^\]\n]*?([0-9.]+)%\]`).FindAllStringSubmatch(screen, -1) {
		sum += decimal(t, meter[1])
	}
	busy := sum / decimal(t, cpus)
	return shares{busy: busy, idle: 100 - busy}
}

// parseTop reads "%Cpu(s): 75.0 us,  0.2 sy,  0.0 ni, 24.8 id, …" of the last
// screen.
func parseTop(t *testing.T, output string) shares {
	t.Helper()
	of := map[string]float64{}
	for part := range strings.SplitSeq(lineOf(t, output, "%Cpu(s):"), ",") {
		value, name, _ := strings.Cut(strings.TrimSpace(part), " ")
		of[name] = decimal(t, value)
	}
	return shares{of["us"] + of["sy"] + of["ni"], of["st"], of["id"]}
}

// parseVmstat reads the last line by the names above it, "… us sy id wa st".
func parseVmstat(t *testing.T, output string) shares {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(output), "\n")
	of := columns(t, lines[1], lines[len(lines)-1])
	return shares{of["us"] + of["sy"], of["st"], of["id"]}
}

// parseMpstat reads the average of all CPUs, and checks it against the CPUs'.
func parseMpstat(t *testing.T, output string) shares {
	t.Helper()
	_, average, _ := strings.Cut(output, "\nAverage:")
	var header string
	var all shares
	var sum shares
	count := 0.0
	for line := range strings.Lines("Average:" + average) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "Average:"))
		if strings.HasPrefix(line, "CPU") {
			header = line
			continue
		}
		cpu, _, _ := strings.Cut(line, " ")
		of := columns(t, strings.TrimPrefix(header, "CPU"), strings.TrimPrefix(line, cpu))
		got := shares{of["%usr"] + of["%sys"] + of["%nice"], of["%steal"], of["%idle"]}
		switch {
		case cpu == "all":
			all = got
		case got != shares{}: // one that isn't shown
			sum = shares{sum.busy + got.busy, sum.steal + got.steal, sum.idle + got.idle}
			count++
		}
	}
	if d := sum.busy/count - all.busy; d > 0.5 || d < -0.5 {
		t.Errorf("mpstat: the mean of %v CPUs is %.1f %% busy, all of them %.1f %%:\n%s", count, sum.busy/count, all.busy, output)
	}
	return all
}

// parseIostat reads the line below "avg-cpu:".
func parseIostat(t *testing.T, output string) shares {
	t.Helper()
	_, table, _ := strings.Cut(output, "avg-cpu:")
	header, rest, _ := strings.Cut(table, "\n")
	values, _, _ := strings.Cut(rest, "\n")
	of := columns(t, header, values)
	return shares{of["%user"] + of["%system"] + of["%nice"], of["%steal"], of["%idle"]}
}

// parsePsutil reads "scputimes(user=75.1, nice=0.0, …)".
func parsePsutil(t *testing.T, output string) shares {
	t.Helper()
	of := map[string]float64{}
	for part := range strings.SplitSeq(strings.Trim(lineOf(t, output, "scputimes"), "()"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		of[name] = decimal(t, value)
	}
	return shares{of["user"] + of["system"] + of["nice"], of["steal"], of["idle"]}
}

// parseScrapes takes seconds of two scrapes from one another.
func parseScrapes(t *testing.T, output string) shares {
	t.Helper()
	first, second, _ := strings.Cut(output, "@@")
	grown := map[string]float64{}
	total := 0.0
	for _, one := range []struct {
		text string
		sign float64
	}{{first, -1}, {second, 1}} {
		for line := range strings.Lines(one.text) {
			series, value, ok := strings.Cut(line, `"} `)
			_, mode, there := strings.Cut(series, `,mode="`)
			if !ok || !there || !strings.HasPrefix(series, "node_cpu_seconds_total{") {
				continue
			}
			grown[mode] += one.sign * decimal(t, value)
			total += one.sign * decimal(t, value)
		}
	}
	if total <= 0 {
		t.Fatalf("node-exporter: its CPU times didn't grow:\n%s", output)
	}
	percent := func(mode string) float64 { return 100 * grown[mode] / total }
	return shares{percent("user") + percent("system") + percent("nice"), percent("steal"), percent("idle")}
}

// columns puts names to the values of a line.
func columns(t *testing.T, names, values string) map[string]float64 {
	t.Helper()
	of := map[string]float64{}
	keys, fields := strings.Fields(names), strings.Fields(values)
	if len(keys) == 0 || len(keys) != len(fields) {
		t.Fatalf("%d columns %q, %d values %q", len(keys), names, len(fields), values)
	}
	for i, key := range keys {
		of[key] = decimal(t, fields[i])
	}
	return of
}

// sight is what a tool showed of a window of this length, which lay between two
// moments.
type sight struct {
	tool        string
	shares      shares
	length      time.Duration
	output      string
	began, seen time.Time
}

// watch runs tools at once, each for a window of this length, and gives what
// they saw, what two reads of the file itself say, and the cgroup's counters
// meanwhile.
func (c *container) watch(t *testing.T, length time.Duration, tools []tool) ([]sight, recording) {
	t.Helper()
	for _, tool := range tools {
		testenv.RequireTool(t, tool.needs)
	}
	sights := make([]sight, len(tools))
	counters := c.cgroup.record(t, func() {
		first := c.stat(t)
		jobs := make([]*job, len(tools))
		for i, tool := range tools {
			jobs[i] = c.begin(t, fmt.Sprintf(tool.script, int(length.Seconds())))
		}
		for i, tool := range tools {
			text, ended := jobs[i].output(t)
			sights[i] = sight{tool: tool.name, length: length, output: text, began: jobs[i].began, seen: ended}
		}
		sights = append(sights, c.stat(t).since(first))
	})
	for i, tool := range tools {
		sights[i].shares = tool.parse(t, sights[i].output)
	}
	return sights, counters
}
