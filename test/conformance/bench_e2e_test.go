// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package conformance

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/test/conformance/served"
)

// BenchmarkRead is open, read to the end and close, of the kernel's own file
// and of both trees'.
func BenchmarkRead(b *testing.B) {
	s := served.Start(b)
	bound := s.Add("bench", served.NewCgroup(b, "bench"))
	for _, tree := range []struct{ name, dir string }{{"kernel", "/"}, {"bound", bound}, {"shared", s.Shared}} {
		for _, file := range files() {
			path := filepath.Join(tree.dir, file)
			b.Run(tree.name+"/"+filepath.Base(file), func(b *testing.B) {
				buf := make([]byte, 64<<10)
				for b.Loop() {
					fd, err := open(path)
					if err != nil {
						b.Fatal(err)
					}
					for n := 1; n > 0; {
						if n, err = retryFD(func() (int, error) { return unix.Read(fd, buf) }); err != nil {
							b.Fatal(err)
						}
					}
					if err := unix.Close(fd); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
