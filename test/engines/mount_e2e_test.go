// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package engines

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon"
	"github.com/procfs-shim/procfs-shim/test/testenv"
)

// hostTools are volumes that bring the host's procps into a busybox container:
// busybox's own free asks sysinfo(2), which nobody can answer but the kernel.
func hostTools() []string {
	var flags []string
	for _, dir := range []string{"/usr", "/lib", "/lib64"} {
		if _, err := os.Stat(dir); err == nil {
			flags = append(flags, "-v", dir+":"+dir+":ro")
		}
	}
	return flags
}

// startServe starts the program's server with a state directory of its own, and
// gives a function that runs the program's other commands with it.
func startServe(t *testing.T, environment ...string) func(args ...string) string {
	t.Helper()
	program := testenv.Binary(t)
	dir, err := os.MkdirTemp("", "srv")
	if err != nil {
		t.Fatal(err)
	}
	serve := exec.Command(program, "serve", "--state-dir", dir, filepath.Join(dir, "shared"))
	serve.Stderr = os.Stderr
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(serve.Process.Signal(unix.SIGTERM), serve.Wait(), os.RemoveAll(dir)); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	waitFor(t, "the server answers", func() bool {
		client, err := daemon.Dial(dir)
		if err == nil {
			client.Close()
		}
		return err == nil
	})
	return func(args ...string) string {
		t.Helper()
		c := exec.Command(program, append(args, "--state-dir", dir)...)
		c.Env = append(os.Environ(), environment...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("procfs-shim %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

// TestMountCommand gives a container that was started without us its view from
// the command line, and takes it away again.
func TestMountCommand(t *testing.T) {
	testenv.RequireFUSE(t)
	for name, start := range map[string]func(*testing.T) (engine Engine, environment string){
		"docker": func(t *testing.T) (Engine, string) { d := StartDocker(t); return d, "DOCKER_HOST=" + d.Host() },
		"podman": func(t *testing.T) (Engine, string) { return StartPodman(t, "runc"), "" },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			engine, environment := start(t)
			c := engine.Run(t, Options{Name: "limited", Memory: 200 * mib, Flags: hostTools()})
			free := func() string { t.Helper(); return totalMiB(t, engine.Exec(t, c, "/usr/bin/free", "-m")) }
			masks := func() string {
				t.Helper()
				return engine.Exec(t, c, "sh", "-c", "wc -c </proc/keys; ls /proc/acpi /sys/firmware; true")
			}
			hostTotal, masked := free(), masks()
			shim := startServe(t, environment)
			target := c.ID[:12]
			if environment != "" {
				target = c.Name // only docker's socket can be asked for names here
			}

			if out := shim("mount", "--dry-run", target); !strings.Contains(out, "/proc/meminfo") || free() != hostTotal {
				t.Errorf("a dry run said %q and free says %s", out, free())
			}
			shim("mount", target)
			if got := free(); got != "200" {
				t.Errorf("free -m inside after mount: %s", got)
			}
			if got := masks(); got != masked {
				t.Errorf("masked files after mount: %q, before %q", got, masked)
			}
			if out := shim("mount", target); strings.Contains(out, "placed") || !strings.Contains(out, "unchanged") {
				t.Errorf("the second mount said %q", out)
			}
			if out := shim("status"); !strings.Contains(out, "healthy") {
				t.Errorf("status said %q", out)
			}
			shim("unmount", target)
			if got := free(); got != hostTotal {
				t.Errorf("free -m inside after unmount: %s, want the host's %s", got, hostTotal)
			}
			if got := masks(); got != masked {
				t.Errorf("masked files after unmount: %q, before %q", got, masked)
			}
		})
	}
}
