// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package truth

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// process is what the host's /proc says of a process.
type process struct {
	pid     string // as its own PID namespace numbers it
	started time.Duration
	used    time.Duration // CPU time, all threads
}

// bootClock is the time since the host's boot.
func bootClock(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// process finds the container's process with these words in its command line.
func (c *container) process(t *testing.T, words string) process {
	t.Helper()
	text, err := os.ReadFile(c.cgroup.file("cpu", "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for pid := range strings.FieldsSeq(string(text)) {
		command, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil || !strings.Contains(strings.ReplaceAll(string(command), "\x00", " "), words) {
			continue
		}
		status := must(os.ReadFile("/proc/" + pid + "/status"))(t)
		stat := string(must(os.ReadFile("/proc/" + pid + "/stat"))(t))
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // from the state on, proc_pid_stat(5)
		ticks := func(field string) time.Duration {
			return time.Duration(decimal(t, field)) * time.Second / ticksPerSecond
		}
		inside := strings.Fields(lineOf(t, string(status), "NSpid:"))
		return process{inside[len(inside)-1], ticks(fields[19]), ticks(fields[11]) + ticks(fields[12])}
	}
	t.Fatalf("no process of %s has %q in its command line", c.name, words)
	return process{}
}

// near checks a moment that a tool shows.
func near(t *testing.T, what string, got, want time.Time, slack time.Duration) {
	t.Helper()
	if d := got.Sub(want); d < -slack || d > slack {
		t.Errorf("%s: %v, want %v (%v off)", what, got.UTC(), want.UTC(), d)
	}
}

// clocks is how far what is shown in whole seconds can be from the truth: btime
// is rounded down, and with a time namespace rounded again.
const clocks = 2*time.Second + 500*time.Millisecond

// TestTime compares what ps and uptime say with the host's view of the same
// processes, in a container with clocks of its own and in one with the host's.
func TestTime(t *testing.T) {
	for _, tool := range []string{"ps", "uptime", python} {
		testenv.RequireTool(t, tool)
	}
	for name, flags := range map[string][]string{
		"private": nil,
		"host":    {"--time", "host", "--uptime", "host"},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			c := start(t, "truth-time-"+name, flags...)
			const apart = 4 // seconds: so that nothing that began at another time looks right
			c.ask(t, fmt.Sprintf("sleep %d", apart))
			c.burn(t, 50)
			c.ask(t, fmt.Sprintf("sleep %d", apart))

			burner, init := c.process(t, toolPath+" "+partBurn), c.process(t, toolPath+" "+partAgent)
			wall := time.Now().Add(-bootClock(t)) // the host's boot
			boot := wall
			if name == "private" {
				boot = wall.Add(init.started)
			}
			usedBefore := burner.used
			seenBefore := bootClock(t)
			out := c.ask(t, `echo "uptime $(cat /proc/uptime)"; grep btime /proc/stat; echo "since $(uptime -s)"
echo "started $(ps -o lstart= -p `+burner.pid+`)"; echo "elapsed $(ps -o etimes= -p `+burner.pid+`)"; echo "percent $(ps -o pcpu= -p `+burner.pid+`)"
`+python+` -c 'import psutil; print("psutil", psutil.boot_time(), psutil.Process(`+burner.pid+`).create_time())'`)
			seenAfter := bootClock(t)
			usedAfter := c.process(t, toolPath+" "+partBurn).used
			t.Logf("the host: started %v, init %v, boot %v\n%s", wall.Add(burner.started).UTC(), wall.Add(init.started).UTC(), wall.UTC(), out)

			at := func(layout, text string) time.Time { return must(time.Parse(layout, text))(t) }
			seconds := func(text string) time.Duration {
				return time.Duration(decimal(t, text) * float64(time.Second))
			}
			up := seconds(strings.Fields(lineOf(t, out, "uptime "))[0])
			began := boot.Sub(wall) // on the host's boot clock
			if up < seenBefore-began-clocks/10 || up > seenAfter-began+clocks/10 {
				t.Errorf("/proc/uptime says %v, at %v to %v after the start", up, seenBefore-began, seenAfter-began)
			}
			near(t, "btime of /proc/stat", time.Unix(int64(decimal(t, lineOf(t, out, "btime "))), 0), boot, clocks)
			near(t, "uptime -s", at(time.DateTime, lineOf(t, out, "since ")), boot, clocks)
			near(t, "ps -o lstart", at("Mon Jan _2 15:04:05 2006", lineOf(t, out, "started ")), wall.Add(burner.started), clocks)
			psutil := strings.Fields(lineOf(t, out, "psutil "))
			near(t, "psutil.boot_time()", time.UnixMicro(int64(1e6*decimal(t, psutil[0]))), boot, clocks)
			near(t, "psutil's create_time()", time.UnixMicro(int64(1e6*decimal(t, psutil[1]))), wall.Add(burner.started), clocks)

			least, most := seenBefore-burner.started, seenAfter-burner.started
			if elapsed := seconds(lineOf(t, out, "elapsed ")); elapsed < least-time.Second || elapsed > most+time.Second {
				t.Errorf("ps -o etimes says %v of a process that is %v to %v old", elapsed, least, most)
			}
			usage := span{100 * usedBefore.Seconds() / most.Seconds(), 100 * usedAfter.Seconds() / least.Seconds()}
			if percent := decimal(t, lineOf(t, out, "percent ")); !usage.has(percent, points) {
				t.Errorf("ps -o pcpu says %v %% of a process that used %v to %v in %v to %v", percent, usedBefore, usedAfter, least, most)
			}
		})
	}
}
