// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseProcCgroup(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []membership
	}{
		{"v2", "0::/\n", []membership{{nil, "/"}}},
		{"hybrid", "9:name=systemd:/a\n1:cpu,cpuacct:/b\n0::/c\n", []membership{
			{[]string{"name=systemd"}, "/a"}, {[]string{"cpu", "cpuacct"}, "/b"}, {nil, "/c"},
		}},
		{"colons and blanks", "0::/a:b/c d:/e\n", []membership{{nil, "/a:b/c d:/e"}}},
		{"deleted", "0::/a (deleted)\n", []membership{{nil, "/a (deleted)"}}},
		{"outside", "0::/../../b\n", []membership{{nil, "/../../b"}}},
		{"parent", "0::/..\n", []membership{{nil, "/.."}}},
		{"dots in names", "0::/...\n2:cpu:/a..b/.c\n", []membership{{nil, "/..."}, {[]string{"cpu"}, "/a..b/.c"}}},
		{"not UTF-8", "0::/a\xff\n", []membership{{nil, "/a\xff"}}},
		{"backslashes stay", `0::/system-a\x2db.slice` + "\n", []membership{{nil, `/system-a\x2db.slice`}}},
		{"empty", "", nil},
		{"no newline", "0::/a", []membership{{nil, "/a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseProcCgroup([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(membership{})); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	for _, text := range []string{
		"\n", "0\n", "0:\n", "0::\n", "::/\n", "x::/\n", "-1::/\n", "0::a\n", "0:://\n", "0::/a//b\n", "0::/a/\n",
		"0::/a/../b\n", "0::/./a\n", "0::/a\x00b\n", "1:,:/\n", "1:cpu,:/\n", "0::/" + strings.Repeat("a", 5000) + "\n",
	} {
		if got, err := parseProcCgroup([]byte(text)); err == nil {
			t.Errorf("parseProcCgroup(%q) = %v, want an error", text, got)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		root, path, rel string
		ok              bool
	}{
		{"/", "/", "", true},
		{"/", "/a/b", "a/b", true},
		{"/a", "/a", "", true},
		{"/a", "/a/b", "b", true},
		{"/a", "/ab", "", false},
		{"/a", "/", "", false},
		{"/a", "/b", "", false},
		{"/", "/..", "", false},
		{"/", "/../a", "", false},
		{"/..", "/../a", "a", true},
		{"/..", "/../..", "", false},
		{"/..", "/../../a", "", false},
		{"/..", "/...", "", false},
		{"/..", "/", "", false}, // inside of it, but under a name that isn't known here
		{"/", "/..a", "..a", true},
	} {
		rel, ok := below(c.root, c.path)
		if rel != c.rel || ok != c.ok {
			t.Errorf("below(%q, %q) = %q, %v, want %q, %v", c.root, c.path, rel, ok, c.rel, c.ok)
		}
		if ok && join(c.root, rel) != c.path {
			t.Errorf("join(%q, %q) = %q, want %q", c.root, rel, join(c.root, rel), c.path)
		}
	}
}
