// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// Every captured host's files come back as they were, and cpuinfo has exactly
// the CPUs that are online.
func TestCapturedHosts(t *testing.T) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) {
			host := fixture.Load(t, name)
			text := host.Read("proc/meminfo")
			m, err := ParseMeminfo([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			for i := range m.Len() {
				if m.Name(i) == "" {
					t.Errorf("row %d isn't understood", i+1)
				}
				v := m.Value(i)
				m.SetValue(i, v^4096)
				m.SetValue(i, v) // written anew, by the column rules
			}
			if got := string(m.Append(nil)); got != text {
				t.Errorf("meminfo became\n%s", got)
			}

			text = host.Read("proc/cpuinfo")
			c, err := ParseCPUInfo([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(c.Append(nil)); got != text {
				t.Errorf("cpuinfo became\n%s", got)
			}
			var cpus cpulist.Set
			for _, b := range c.Blocks {
				cpus = cpus.Union(cpulist.Of(b.CPU))
			}
			online, err := cpulist.Parse(host.Read("sys/devices/system/cpu/online"))
			if err != nil {
				t.Fatal(err)
			}
			if !cpus.Equal(online) {
				t.Errorf("cpuinfo has the CPUs %s, online are %s", cpus, online)
			}
		})
	}
}
