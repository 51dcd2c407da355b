// SPDX-License-Identifier: Apache-2.0

package nullfs

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// mountOptions gives the fields of the only fuse.MountOptions in a source file,
// with constants that have names replaced by what they stand for.
func mountOptions(t *testing.T, path string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if kind, ok := literal.Type.(*ast.SelectorExpr); !ok || kind.Sel.Name != "MountOptions" {
			return true
		}
		for _, element := range literal.Elts {
			pair, keyed := element.(*ast.KeyValueExpr)
			if !keyed {
				t.Fatalf("%s: an element without a key", set.Position(element.Pos()))
			}
			key, named := pair.Key.(*ast.Ident)
			if !named {
				t.Fatalf("%s: a key that is no name", set.Position(element.Pos()))
			}
			var value strings.Builder
			if err := format.Node(&value, set, pair.Value); err != nil {
				t.Fatal(err)
			}
			fields[key.Name] = value.String()
		}
		return true
	})
	return fields
}

// constant gives the value of a constant in a source file.
func constant(t *testing.T, path, name string) string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var value strings.Builder
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == name {
			if err := format.Node(&value, set, spec.Values[0]); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	return value.String()
}

// TestOptionsAreOurs: a server that go-fuse serves otherwise than ours is no
// yardstick for it. Names, logs and panics don't count.
func TestOptionsAreOurs(t *testing.T) {
	ours, null := mountOptions(t, "../server.go"), mountOptions(t, "server.go")
	if len(ours) < 5 {
		t.Fatalf("only %v found in package fusefs: the test looks in the wrong place", ours)
	}
	for _, other := range []string{"Name", "FsName", "Logger", "PanicHandler"} {
		delete(ours, other)
		delete(null, other)
	}
	for field, value := range ours {
		if null[field] != value {
			t.Errorf("%s is %q here and %q in package fusefs", field, null[field], value)
		}
	}
	for field := range null {
		if _, known := ours[field]; !known {
			t.Errorf("%s is only set here", field)
		}
	}
	for name, path := range map[string]string{"maxRead": "../mount.go", "maxInFlight": "../server.go"} {
		if here, there := constant(t, "server.go", name), constant(t, path, name); here != there || here == "" {
			t.Errorf("%s is %q here and %q in package fusefs", name, here, there)
		}
	}
}

// TestRequests asks for what the kernel asks for.
func TestRequests(t *testing.T) {
	s := &Server{fs: newFilesystem()}
	if err := s.Set(map[string]string{"proc/meminfo": "0123456789", "sys/devices/system/cpu/online": "0\n", "empty": ""}); err != nil {
		t.Fatal(err)
	}
	lookup := func(path string) (uint64, fuse.Status) {
		id := uint64(fuse.FUSE_ROOT_ID)
		for name := range strings.SplitSeq(path, "/") {
			var out fuse.EntryOut
			if status := s.fs.Lookup(nil, &fuse.InHeader{NodeId: id}, name, &out); status != fuse.OK {
				return 0, status
			}
			id = out.NodeId
		}
		return id, fuse.OK
	}
	id, status := lookup("proc/meminfo")
	if status != fuse.OK {
		t.Fatal(status)
	}
	var open fuse.OpenOut
	if status := s.fs.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: id}}, &open); status != fuse.OK || open.Fh == 0 {
		t.Errorf("open: %v, %+v", status, open)
	}
	if open.OpenFlags != fuse.FOPEN_DIRECT_IO|fuse.FOPEN_NOFLUSH {
		t.Errorf("opened with %#x", open.OpenFlags)
	}
	for _, c := range []struct {
		offset uint64
		size   uint32
		want   string
	}{{0, 100, "0123456789"}, {0, 3, "012"}, {8, 100, "89"}, {10, 100, ""}, {1 << 40, 1, ""}} {
		result, status := s.fs.Read(nil, &fuse.ReadIn{InHeader: fuse.InHeader{NodeId: id}, Offset: c.offset, Size: c.size}, nil)
		if status != fuse.OK {
			t.Fatal(status)
		}
		if text, _ := result.Bytes(nil); string(text) != c.want {
			t.Errorf("%d bytes at %d: %q, want %q", c.size, c.offset, text, c.want)
		}
	}
	for path, want := range map[string]fuse.Status{
		"proc": fuse.OK, "sys/devices/system/cpu/online": fuse.OK, "empty": fuse.OK, "proc/stat": fuse.ENOENT, "proc/meminfo/x": fuse.ENOENT,
	} {
		if _, status := lookup(path); status != want {
			t.Errorf("%s: %v, want %v", path, status, want)
		}
	}
	for _, id := range []uint64{0, 99, 1 << 40} {
		if status := s.fs.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: id}}, new(fuse.AttrOut)); status == fuse.OK {
			t.Errorf("inode %d has attributes", id)
		}
	}
	if dir, _ := lookup("proc"); s.fs.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: dir}}, &open) == fuse.OK {
		t.Error("a directory was opened as a file")
	}
}

func TestSetRefuses(t *testing.T) {
	s := &Server{fs: newFilesystem()}
	for _, files := range []map[string]string{
		{"": "x"}, {".": "x"}, {"/proc": "x"}, {"a/../b": "x"}, {"a": "x", "a/b/c": "y"},
	} {
		if err := s.Set(files); err == nil {
			t.Errorf("%v was taken", files)
		}
	}
}
