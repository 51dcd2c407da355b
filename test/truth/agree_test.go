// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// cpuCounters print "TOOL COUNT", how many CPUs there are.
const cpuCounters = `
echo cpuinfo $(grep -c ^processor /proc/cpuinfo)
echo stat $(grep -c '^cpu[0-9]' /proc/stat)
echo lscpu $(lscpu -p=CPU | grep -c '^[0-9]')
echo getconf $(getconf _NPROCESSORS_ONLN)
echo psutil $(` + python + ` -c 'import psutil; print(psutil.cpu_count())')
echo psutil-times $(` + python + ` -c 'import psutil; print(len(psutil.cpu_times(percpu=True)))')
echo node-exporter $(metrics | grep -c '^node_cpu_seconds_total{.*mode="idle"')
`

// TestCPUs counts CPUs with every tool that has its own way to do it.
func TestCPUs(t *testing.T) {
	for _, tool := range []string{"lscpu", python, exporter} {
		testenv.RequireTool(t, tool)
	}
	testenv.NoLeaks(t)
	for _, cpus := range []string{"1", "1.5"} {
		c := start(t, "truth-cpus-"+strings.ReplaceAll(cpus, ".", "-"), "--cpus", cpus)
		want := "1"
		if cpus == "1.5" {
			testenv.RequireCPUs(t, 2)
			want = "2"
		}
		out := c.ask(t, "metrics() { (\n"+exporting(`print(metrics("cpu"))`)+"\n) }"+cpuCounters)
		for line := range strings.Lines(out) {
			if tool, count, _ := strings.Cut(strings.TrimSpace(line), " "); count != want {
				t.Errorf("%s counts %q CPUs with --cpus %s, want %s", tool, count, cpus, want)
			}
		}
		online := strings.TrimSpace(c.ask(t, "cat /sys/devices/system/cpu/online"))
		listed := lineOf(t, c.ask(t, "lscpu | sed 's/ *: */:/'"), "On-line CPU(s) list:")
		if strings.ReplaceAll(online, "-", ",") != strings.ReplaceAll(listed, "-", ",") {
			t.Errorf("lscpu lists the CPUs %s, /sys/devices/system/cpu/online %s", listed, online)
		}
	}
}

// TestMemoryTools compares psutil and node-exporter with the cgroup's files.
func TestMemoryTools(t *testing.T) {
	testenv.RequireTool(t, python)
	testenv.RequireTool(t, exporter)
	testenv.NoLeaks(t)
	c := start(t, "truth-memory", "--memory", "256m", "--tmpfs", "/shared")
	c.ask(t, "dd if=/dev/zero of=/shared/file bs=1M count=24 2>/dev/null; dd if=/dev/zero of=/cached bs=1M count=48 2>/dev/null")
	compareMemory(t, "psutil", func() memory {
		shown := memory{}
		text := c.ask(t, python+` -c 'import json, psutil; print(json.dumps(psutil.virtual_memory()._asdict()))'`)
		var all map[string]float64
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"total", "free", "available", "shared"} { // its "used" isn't free's
			shown[name] = int64(all[name])
		}
		return shown
	}, c.cgroup)
	compareMemory(t, "node-exporter", func() memory {
		text := c.ask(t, exporting(`print(metrics("meminfo"))`))
		shown := memory{}
		for name, field := range map[string]string{"total": "MemTotal", "free": "MemFree", "available": "MemAvailable", "shared": "Shmem"} {
			shown[name] = int64(decimal(t, lineOf(t, text, "node_memory_"+field+"_bytes ")))
		}
		return shown
	}, c.cgroup)
}

// TestScreens compares the numbers at the head of top's, htop's and uptime's
// screens, and node-exporter's, with the files and with the container's age.
func TestScreens(t *testing.T) {
	for _, tool := range []string{"top", "htop", "tmux", "uptime", python, exporter} {
		testenv.RequireTool(t, tool)
	}
	testenv.NoLeaks(t)
	c := start(t, "truth-screens", "--memory", "256m")
	c.burn(t, 100)
	load := func() string { return strings.Join(strings.Fields(c.ask(t, "cat /proc/loadavg"))[:3], " ") }
	until(t, "the load average rises", func() bool { return load() != "0.00 0.00 0.00" })

	for tool, script := range map[string]string{
		"uptime": "uptime",
		"top":    "top -b -n 1 | head -n 1",
		"htop":   fmt.Sprintf(watchHtop, 1),
		"node-exporter": exporting(`text = metrics("loadavg")
print("load average:", *[l.split()[1] for n in ("1 ", "5 ", "15 ") for l in text.split("\n") if l.startswith("node_load" + n)])`),
	} {
		// A new sample may come between two looks: then both have to change.
		var shown, before, after string
		for range 5 {
			before = load()
			out := c.ask(t, script)
			after = load()
			found := regexp.MustCompile(`(?i)load average: *([0-9.]+),? +([0-9.]+),? +([0-9.]+)`).FindStringSubmatch(out)
			if found == nil {
				t.Fatalf("%s shows no load average:\n%s", tool, out)
			}
			shown = loads(t, found[1:])
			if shown == before || shown == after {
				break
			}
		}
		t.Logf("%s: %s", tool, shown)
		if shown != before && shown != after {
			t.Errorf("%s shows the load %s, /proc/loadavg %s before and %s after it", tool, shown, before, after)
		}
	}

	// One process always runs, others for moments: no more than that is this load's.
	if now := load(); decimal(t, strings.Fields(now)[0]) > 3 {
		t.Errorf("/proc/loadavg says %s of a container with one busy process", now)
	}

	screen := c.ask(t, fmt.Sprintf(watchHtop, 1))
	if !regexp.MustCompile(`Mem\[.*/256M\]`).MatchString(screen) {
		t.Errorf("htop doesn't show the limit of 256M:\n%s", screen)
	}
	init := c.process(t, toolPath+" "+partAgent)
	age := func() time.Duration { return bootClock(t) - init.started }
	uptimes := regexp.MustCompile(`Uptime: (\d+):(\d+):(\d+)`).FindStringSubmatch(screen)
	if uptimes == nil {
		t.Fatalf("htop shows no uptime:\n%s", screen)
	}
	up := must(time.ParseDuration(uptimes[1] + "h" + uptimes[2] + "m" + uptimes[3] + "s"))(t)
	if now := age(); up > now || up < now-patience/10 {
		t.Errorf("htop shows an uptime of %v; the container is %v old:\n%s", up, now, screen)
	}
}

// loads writes load averages as the kernel does.
func loads(t *testing.T, of []string) string {
	t.Helper()
	words := slices.Clone(of)
	for i, word := range words {
		words[i] = fmt.Sprintf("%.2f", decimal(t, word))
	}
	return strings.Join(words, " ")
}
