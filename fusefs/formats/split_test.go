// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/test/fixture"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		file, text string
		want       string // "name=value" with commas between
	}{
		{"proc/uptime", "18940.16 26002.97\n", "up=18940.16,idle=26002.97"},
		{"proc/loadavg", "0.42 0.60 0.79 1/97 14099\n", "load1=0.42,load5=0.60,load15=0.79,running=1,total=97,lastpid=14099"},
		{"proc/loadavg", "0.42 0.60\n", "line 1=0.42 0.60"},
		{
			"proc/stat", "cpu  1 2 3 4\ncpu0 1 2 3 4 5 6 7 8 9 10 11\nintr 5 0 1 \nctxt 6\nwhat\n",
			"cpu user=1,cpu nice=2,cpu system=3,cpu idle=4," +
				"cpu0 user=1,cpu0 nice=2,cpu0 system=3,cpu0 idle=4,cpu0 iowait=5,cpu0 irq=6,cpu0 softirq=7,cpu0 steal=8,cpu0 guest=9,cpu0 guest_nice=10,cpu0 column 11=11," +
				"intr=5,intr each=0 1,ctxt=6,line 5=what",
		},
		{
			"proc/diskstats", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n",
			"sda major=8,sda minor=0,sda reads=1,sda reads merged=2,sda sectors read=3,sda ms reading=4,sda writes=5,sda writes merged=6,sda sectors written=7,sda ms writing=8,sda in flight=9,sda ms busy=10,sda ms weighted=11",
		},
		{"proc/swaps", "Filename\tType\tSize\n/dev/vda      partition\t65532\t0\t-2\n", "headings=Filename\tType\tSize,/dev/vda type=partition,/dev/vda size=65532,/dev/vda used=0,/dev/vda priority=-2"},
		{"proc/slabinfo", "slabinfo - version: 2.1\n# name\ndentry   1 2 : tunables 0\n", "version=slabinfo - version: 2.1,headings=# name,dentry=1 2 : tunables 0"},
		{"memory.kmem.slabinfo", "", ""},
		{"proc/meminfo", "MemTotal:   12 kB\nHugePages_Free:    0\nwhat\n", "MemTotal=12 kB,HugePages_Free=0,line 3=what"},
		{"sys/devices/system/node/node3/meminfo", "Node 3 MemTotal:   12 kB\nNode 3 HugePages_Surp:    0\n", "MemTotal=12 kB,HugePages_Surp=0"},
		{"proc/vmstat", "nr_free_pages 7\na b c\n", "nr_free_pages=7,line 2=a b c"},
		{"proc/pressure/irq", "full avg10=0.00 total=7\n", "full avg10=0.00,full total=7"},
		{"cpu.pressure", "some avg10=0.00 x\n", "some avg10=0.00,line 1=some avg10=0.00 x"},
		{"proc/cpuinfo", "processor\t: 0\nmodel name\t: A B\npower management:\n\nprocessor\t: 3\nflags\t: a b\n\nHardware\t: X\n", "cpu0 processor=0,cpu0 model name=A B,cpu0 power management=,cpu3 processor=3,cpu3 flags=a b,Hardware=X"},
		{"proc/cpuinfo", "# processors    : 1\nprocessor 0: version = FF\n\ncpu number      : 0\n", "# processors=1,cpu0 processor=version = FF,cpu0 cpu number=0"},
		{"proc/cpuinfo", "nothing\n", "line 1=nothing"},
		{"sys/devices/system/cpu/online", "0-3,8\n", "online=0-3,8"},
		{"sys/devices/system/cpu/offline", "\n", "offline="},
		{"memory.max", "max\n", "memory.max=max"},
		{"cpu.max", "200000 100000\n", "quota=200000,period=100000"},
		{"cpuacct.usage_percpu", "123 456 \n", "cpu0=123,cpu1=456"},
		{"io.stat", "254:16 rbytes=2048 dios=0\n254:0\n", "254:16 rbytes=2048,254:16 dios=0"},
		{"blkio.throttle.io_serviced", "8:0 Read 1\nTotal 5\n", "8:0 Read=1,Total=5"},
		{"memory.numa_stat", "anon N0=1 N12=2\ntotal=9 N0=9\n", "anon N0=1,anon N12=2,total=9,total N0=9"},
		{"memory.stat", "anon 5\n", "anon=5"},
	} {
		var got []string
		for _, f := range Split(c.file, c.text) {
			got = append(got, f.Name+"="+f.Value)
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s %q:\n%s\nwant\n%s", c.file, c.text, strings.Join(got, ","), c.want)
		}
	}
}

// checkFields says whether fields are where they say, in order.
func checkFields(t *testing.T, text string, fields []Field) {
	t.Helper()
	at := 0
	for _, f := range fields {
		if f.Name == "" || f.At < at && !strings.HasPrefix(f.Name, "line ") || f.At+len(f.Value) > len(text) || text[f.At:f.At+len(f.Value)] != f.Value {
			t.Fatalf("%q: field %+v, the one before ends at %d", text, f, at)
		}
		at = max(at, f.At+len(f.Value))
	}
}

// No number of a captured host's files is outside of all fields.
func TestSplitSeesEveryNumber(t *testing.T) {
	for _, name := range fixture.Names(t) {
		for file, text := range hostTexts(t, fixture.Load(t, name)) {
			fields := Split(file, text)
			checkFields(t, text, fields)
			names := map[string]bool{}
			for _, f := range fields {
				if names[f.Name] {
					t.Errorf("%s: %s: two fields are called %q", name, file, f.Name)
				}
				names[f.Name] = true
			}
			left := []byte(text)
			for _, f := range fields {
				for i := range f.Value {
					left[f.At+i] = ' '
				}
			}
			for line := range strings.Lines(string(left)) {
				if slices.ContainsFunc(words(strings.TrimSpace(line)), func(w word) bool { return isNumber(w.text) }) && path.Base(file) != "meminfo" {
					t.Errorf("%s: %s: %q has a number in no field", name, file, line)
				}
			}
		}
	}
}

func isNumber(s string) bool { return match("#", s) || match("#.#", s) }

func FuzzSplit(f *testing.F) {
	files := []string{
		"proc/cpuinfo", "proc/stat", "proc/uptime", "proc/loadavg", "proc/diskstats", "proc/swaps", "proc/slabinfo", "proc/meminfo",
		"proc/vmstat", "proc/pressure/cpu", "cpu.max", "io.stat", "memory.numa_stat", "cpuacct.usage_percpu", "blkio.throttle.io_serviced", "memory.max",
	}
	for i := range files {
		f.Add(i, "processor\t: 0\nkey : value\n\n")
		f.Add(i, "cpu  1 2 3 4\ncpu0 1 2 3 4\nintr 1 2 3 \n")
		f.Add(i, " 8  0 sda 1 2 3\nMemTotal:  12 kB\nNode 0 A: 1\n")
		f.Add(i, "some avg10=0.00 total=7\n8:0 Read 1\n1/2 =\n= =\n :\n")
	}
	f.Fuzz(func(t *testing.T, which int, text string) {
		file := files[uint(which)%uint(len(files))]
		checkFields(t, text, Split(file, text))
	})
}
