// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"encoding/json"
	"strings"
	"testing"
)

func mustPaths(t *testing.T, unified string, controllers map[string]string) Paths {
	t.Helper()
	p, err := NewPaths(unified, controllers)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPathsRoundTrip(t *testing.T) {
	for _, p := range []Paths{
		{},
		mustPaths(t, "/", nil),
		mustPaths(t, "/../a b:c (deleted)", nil),
		mustPaths(t, "/a\xff\xfe", nil),
		mustPaths(t, "/a\\x2db", map[string]string{"memory": "/m", "cpu": "/c", "name=systemd": "/"}),
		mustPaths(t, "", map[string]string{"memory": "/\xff"}),
	} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Paths
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !back.Equal(p) || !p.Equal(back) {
			t.Errorf("%s: %v came back as %v", text, p, back)
		}
	}
	text, err := json.Marshal(mustPaths(t, "/u", map[string]string{"memory": "/m"}))
	if want := `{"unified":"/u","controllers":{"memory":"/m"}}`; err != nil || string(text) != want {
		t.Errorf("Marshal = %s, %v, want %s", text, err, want)
	}
}

func TestPathsRefuse(t *testing.T) {
	many := make(map[string]string)
	for i := range 65 {
		many[strings.Repeat("c", i+1)] = "/"
	}
	bad, err := json.Marshal(map[string]any{"controllers": many})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"unified":"a"}`,
		`{"unified":"/a/../b"}`,
		`{"unified":"/a\u0000"}`,
		`{"unified":"base64:!"}`,
		`{"unified":"base64:YQ=="}`,
		`{"controllers":{"":"/"}}`,
		`{"controllers":{"cpu,memory":"/"}}`,
		`{"controllers":{"cpu":""}}`,
		`{"controllers":{"cpu":"/a/"}}`,
		`{"controllers":[]}`,
		`[]`,
		string(bad),
	} {
		p := mustPaths(t, "/old", nil)
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("Unmarshal took %s", text)
		} else if p.unified != "/old" {
			t.Errorf("%s: a failed Unmarshal changed the value to %v", text, p)
		}
	}
}

func TestPathsPath(t *testing.T) {
	hybrid := mustPaths(t, "/u", map[string]string{"memory": "/m", "name=systemd": "/s"})
	for _, c := range []struct {
		p                Paths
		controller, path string
		ok               bool
	}{
		{hybrid, "memory", "/m", true},
		{hybrid, "hugetlb", "/u", true},
		{hybrid, "", "/u", true},
		{hybrid, "name=systemd", "/s", true},
		{hybrid, "name=elogind", "", false},
		{mustPaths(t, "/u", nil), "memory", "/u", true},
		{mustPaths(t, "", map[string]string{"memory": "/m"}), "cpu", "", false},
		{Paths{}, "memory", "", false},
	} {
		if path, ok := c.p.Path(c.controller); path != c.path || ok != c.ok {
			t.Errorf("%v.Path(%q) = %q, %v, want %q, %v", c.p, c.controller, path, ok, c.path, c.ok)
		}
	}
}

func TestPathsEqual(t *testing.T) {
	a := mustPaths(t, "/u", map[string]string{"memory": "/m"})
	for _, b := range []Paths{
		{},
		mustPaths(t, "/u", nil), mustPaths(t, "", map[string]string{"memory": "/m"}),
		mustPaths(t, "/v", map[string]string{"memory": "/m"}), mustPaths(t, "/u", map[string]string{"memory": "/n"}),
		mustPaths(t, "/u", map[string]string{"memory": "/m", "cpu": "/m"}),
	} {
		if a.Equal(b) || b.Equal(a) {
			t.Errorf("%v equals %v", a, b)
		}
	}
	if !(Paths{}).Equal(mustPaths(t, "", map[string]string{})) || !(Paths{}).IsZero() || a.IsZero() {
		t.Error("the zero value")
	}
	// The map that it was made from may change afterwards.
	m := map[string]string{"memory": "/m"}
	b := mustPaths(t, "/u", m)
	m["memory"] = "/x"
	if !a.Equal(b) {
		t.Errorf("%v changed with its maker's map", b)
	}
}

// v2:     /pod            v1: memory /pod and cpu /pod,
//
//	└─ ctr                     systemd / everywhere
//	   └─ inner
func TestPathsContains(t *testing.T) {
	v1 := func(memory, cpu, systemd string) Paths {
		return mustPaths(t, "/", map[string]string{"memory": memory, "cpu": cpu, "name=systemd": systemd})
	}
	for _, c := range []struct {
		name     string
		p, child Paths
		want     bool
	}{
		{"itself", mustPaths(t, "/pod/ctr", nil), mustPaths(t, "/pod/ctr", nil), true},
		{"below", mustPaths(t, "/pod/ctr", nil), mustPaths(t, "/pod/ctr/inner", nil), true},
		{"above", mustPaths(t, "/pod/ctr", nil), mustPaths(t, "/pod", nil), false},
		{"beside", mustPaths(t, "/pod/ctr", nil), mustPaths(t, "/pod/ctr2", nil), false},
		{"the root", mustPaths(t, "/", nil), mustPaths(t, "/pod", nil), true},
		{"outside of the root", mustPaths(t, "/", nil), mustPaths(t, "/../pod", nil), false},
		{"v1 below", v1("/pod", "/pod", "/"), v1("/pod/a", "/pod", "/"), true},
		{"v1 elsewhere in one", v1("/pod", "/pod", "/"), v1("/pod/a", "/", "/"), false},
		{"v1 elsewhere in a named one", v1("/pod", "/pod", "/pod"), v1("/pod", "/pod", "/user"), true},
		{"v1 lacking one", v1("/pod", "/pod", "/"), mustPaths(t, "", map[string]string{"memory": "/pod"}), false},
		{"nothing", Paths{}, mustPaths(t, "/", nil), false},
		{"nothing below", mustPaths(t, "/", nil), Paths{}, false},
	} {
		if got := c.p.Contains(c.child); got != c.want {
			t.Errorf("%s: %v contains %v = %v, want %v", c.name, c.p, c.child, got, c.want)
		}
	}
}

func TestTrimInitScope(t *testing.T) {
	for path, want := range map[string]string{
		"/init.scope":              "/",
		"/a/init.scope":            "/a",
		"/a/init.scope/init.scope": "/a/init.scope",
		"/a/xinit.scope":           "/a/xinit.scope",
		"/a/init.scope/b":          "/a/init.scope/b",
		"/":                        "/",
		"/../init.scope":           "/..",
	} {
		p := mustPaths(t, path, map[string]string{"memory": path})
		if got := p.TrimInitScope(); !got.Equal(mustPaths(t, want, map[string]string{"memory": want})) {
			t.Errorf("%q: %v, want %q", path, got, want)
		}
		if !p.Equal(mustPaths(t, path, map[string]string{"memory": path})) {
			t.Errorf("%q: TrimInitScope changed its receiver to %v", path, p)
		}
	}
}

func TestPathsString(t *testing.T) {
	for want, p := range map[string]Paths{
		"":                   {},
		"/a b":               mustPaths(t, "/a b", nil),
		`"/a\x1b"`:           mustPaths(t, "/a\x1b", nil),
		"/x":                 mustPaths(t, "/x", map[string]string{"memory": "/x", "cpu": "/x"}),
		"cpu:/c memory:/m":   mustPaths(t, "", map[string]string{"memory": "/m", "cpu": "/c"}),
		"unified:/u cpu:/c":  mustPaths(t, "/u", map[string]string{"cpu": "/c"}),
		"cpu,memory:/c x:/m": mustPaths(t, "", map[string]string{"memory": "/c", "cpu": "/c", "x": "/m"}),
	} {
		if got := p.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
