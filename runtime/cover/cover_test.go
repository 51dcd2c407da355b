// SPDX-License-Identifier: Apache-2.0

package cover

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/runtime/attach"
	"github.com/procfs-shim/procfs-shim/runtime/discover"
)

func TestLabel(t *testing.T) {
	long := strings.Repeat("3f", 32)
	for _, tt := range []struct {
		c    discover.Container
		want string
	}{
		{discover.Container{ID: long, Name: "web"}, "web"},
		{discover.Container{ID: long}, long[:12]},
		{discover.Container{ID: "mail", Name: "mail"}, "mail"},
		{discover.Container{ID: "pid-7"}, "pid-7"},
	} {
		if got := Label(tt.c); got != tt.want {
			t.Errorf("%+v is called %q, want %q", tt.c, got, tt.want)
		}
	}
}

func TestOthers(t *testing.T) {
	j := job{
		files:  []string{"proc/meminfo", "proc/stat"},
		before: []attach.Mounted{{Destination: "/proc/meminfo"}, {Destination: "/proc/uptime"}, {Destination: "/proc/cpuinfo"}},
	}
	if got := j.others(); got != nil {
		t.Errorf("not asked for: %q", got)
	}
	j.wish.Exact = true
	if got, want := j.others(), []string{"/proc/uptime", "/proc/cpuinfo"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	j.before = nil
	if got := j.others(); got != nil {
		t.Errorf("of nothing: %q", got)
	}
}

func TestForetell(t *testing.T) {
	var out bytes.Buffer
	j := job{
		Coverer: Coverer{Out: &out}, container: discover.Container{ID: "web"},
		wish: Wish{Exact: true, ReplaceLXCFS: true}, files: []string{"proc/meminfo"},
		before: []attach.Mounted{{Destination: "/proc/stat"}},
		theirs: []attach.Mounted{{Destination: "/proc/meminfo"}, {Destination: "/proc/uptime"}, {Destination: attach.LXCFSTree}},
	}
	j.foretell(Views{Policy: "swap=none"})
	want := `web	policy	would be swap=none
web	/proc/meminfo	LXCFS's would be replaced
web	/proc/uptime	LXCFS's would be left
web	/var/lib/lxcfs	LXCFS's would be replaced
web	/proc/meminfo	would be covered
web	/proc/stat	would be uncovered
`
	if got := out.String(); got != want {
		t.Errorf("it says\n%swant\n%s", got, want)
	}
}

func TestOpenTreesFails(t *testing.T) {
	dir := t.TempDir()
	at := func(file string) string { return filepath.Join(dir, file) }
	trees, err := OpenTrees(at, []string{"proc/meminfo"})
	if trees != nil || err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("trees of an empty directory: %v, %v", trees, err)
	}
	if trees, err := OpenTrees(at, nil); trees != nil || err != nil {
		t.Errorf("no trees: %v, %v", trees, err)
	}
}
