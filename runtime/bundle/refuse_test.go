// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/runtime/cgroup"
)

// Values that are refused before anything is made, and what is said.
func TestValidateRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		change func(o *Options)
		want   string
	}{
		{func(o *Options) { o.Args = nil }, "command: none given"},
		{func(o *Options) { o.Args = []string{""} }, "command: none given"},
		{func(o *Options) { o.Args = []string{"a", "b\x00c"} }, "zero byte"},
		{func(o *Options) { o.Name = "-x" }, "--name: -x"},
		{func(o *Options) { o.Name = "a/b" }, "--name: a/b"},
		{func(o *Options) { o.Name = "a" }, "--name: a"},
		{func(o *Options) { o.Name = strings.Repeat("a", 129) }, "--name"},
		{func(o *Options) { o.ID = "../x" }, "container ID: ../x"},
		{func(o *Options) { o.Hostname = "bad host" }, "--hostname: bad host"},
		{func(o *Options) { o.Hostname = "a..b" }, "--hostname: a..b"},
		{func(o *Options) { o.Hostname = strings.Repeat("a", 65) }, "--hostname"},

		{func(o *Options) { o.Memory = "5m" }, "--memory: 5m: less than the minimum of 6 MiB"},
		{func(o *Options) { o.Memory = "1" }, "minimum of 6 MiB"},
		{func(o *Options) { o.Memory = "-1" }, "--memory: -1: not a size"},
		{func(o *Options) { o.Memory = "x" }, "not a size"},
		{func(o *Options) { o.Memory = "7e" }, "not a size"},
		{func(o *Options) { o.Memory = "9223372036854775808" }, "2^63 bytes or more"},
		{func(o *Options) { o.Memory = "9223372036854775807" }, "2^63 bytes or more"},
		{func(o *Options) { o.Memory = "99999999999999999999p" }, "2^63 bytes or more"},
		{func(o *Options) { o.Memory = "8388608t" }, "2^63 bytes or more"},
		{func(o *Options) { o.MemoryReservation = "1m" }, "--memory-reservation: 1m: less than"},
		{func(o *Options) { o.Memory, o.MemoryReservation = "20m", "30m" }, "more than --memory 20m"},
		{func(o *Options) { o.MemorySwap = "100m" }, "give --memory too"},
		{func(o *Options) { o.Memory, o.MemorySwap = "20m", "10m" }, "not less than --memory 20m"},
		{func(o *Options) { o.Memory, o.MemorySwap = "20m", "-2" }, "--memory-swap: -2: not a size"},

		{func(o *Options) { o.CPUs = "3" }, "--cpus: 3: not from 0.01 to 2, the CPUs of this host"},
		{func(o *Options) { o.CPUs = "2.001" }, "not from 0.01 to 2"},
		{func(o *Options) { o.CPUs = "0.009" }, "not from 0.01 to 2"},
		{func(o *Options) { o.CPUs = "-1" }, "not a number of CPUs"},
		{func(o *Options) { o.CPUs = "1e0" }, "not a number of CPUs"},
		{func(o *Options) { o.CPUs = "1/2" }, "not a number of CPUs"},
		{func(o *Options) { o.CPUs = "." }, "not a number of CPUs"},
		{func(o *Options) { o.CPUs = "1.2.3" }, "not a number of CPUs"},
		{func(o *Options) { o.CPUs = strings.Repeat("9", 40) }, "not a number of CPUs"},
		{func(o *Options) { o.CPUs, o.CPUQuota = "1", 50000 }, "in conflict with --cpu-quota 50000"},
		{func(o *Options) { o.CPUs, o.CPUPeriod = "1", 50000 }, "in conflict with --cpu-period 50000"},
		{func(o *Options) { o.CPUQuota = 999 }, "--cpu-quota: 999: less than the minimum of 1 ms"},
		{func(o *Options) { o.CPUQuota = -2 }, "--cpu-quota: -2"},
		{func(o *Options) { o.CPUQuota = math.MaxInt64 }, "more microseconds"},
		{func(o *Options) { o.CPUPeriod = 999 }, "--cpu-period: 999: not from 1 ms to 1 s"},
		{func(o *Options) { o.CPUPeriod = 1000001 }, "not from 1 ms to 1 s"},
		{func(o *Options) { o.CPUPeriod = -1 }, "not from 1 ms to 1 s"},
		{func(o *Options) { o.CPUShares = 1 }, "--cpu-shares: 1"},
		{func(o *Options) { o.CPUShares = -5 }, "--cpu-shares: -5"},
		{func(o *Options) { o.CPUShares = 262145 }, "--cpu-shares: 262145"},
		{func(o *Options) { o.CPUsetCPUs = "0-9" }, "--cpuset-cpus: 0-9: 2-9 not available, this host has the CPUs 0-1"},
		{func(o *Options) { o.CPUsetCPUs = "x" }, "--cpuset-cpus"},
		{func(o *Options) { o.CPUsetCPUs = "," }, "--cpuset-cpus"},
		{func(o *Options) { o.CPUsetMems = "1" }, "this host has the memory nodes 0"},
		{func(o *Options) { o.PidsLimit = -2 }, "--pids-limit: -2"},
		{func(o *Options) { o.PidsLimit = 4194305 }, "--pids-limit: 4194305: more than the kernel's"},
		{func(o *Options) { o.BlkioWeight = 9 }, "--blkio-weight: 9: not from 10 to 1000"},
		{func(o *Options) { o.BlkioWeight = 1001 }, "--blkio-weight: 1001"},
		{func(o *Options) { o.DeviceReadBps = []string{"/dev/null:1mb"} }, "not a block device"},
		{func(o *Options) { o.DeviceReadBps = []string{"/dev/nosuch:1mb"} }, "no such file"},
		{func(o *Options) { o.DeviceWriteBps = []string{"/dev/vda"} }, "--device-write-bps: /dev/vda: not DEVICE:RATE"},
		{func(o *Options) { o.DeviceReadIOps = []string{"/dev/vda:1mb"} }, "not a number of operations"},
		{func(o *Options) { o.DeviceReadIOps = []string{"/dev/vda:4294967296"} }, "not a number of operations"},
		{func(o *Options) { o.DeviceWriteIOps = []string{"/etc/passwd:1"} }, "not a device below /dev"},
		{func(o *Options) { o.DeviceWriteIOps = []string{"/dev/../etc/passwd:1"} }, "not a device below /dev"},

		{func(o *Options) { o.Env = []string{"=x"} }, "--env: =x: no name"},
		{func(o *Options) { o.Env = []string{""} }, "--env: no name"},
		{func(o *Options) { o.Env = []string{"A=\x00"} }, "zero byte"},
		{func(o *Options) { o.Workdir = "rel" }, "--workdir: rel: not an absolute path"},
		{func(o *Options) { o.User = "-1" }, "--user: -1"},
		{func(o *Options) { o.User = "4294967296" }, "--user: 4294967296: 4294967296 is not from 0"},
		{func(o *Options) { o.User = "0:99999999999999999999" }, "--user"},
		{func(o *Options) { o.User = ":0" }, "--user: :0"},
		{func(o *Options) { o.User = "a:b:c" }, "--user: a:b:c"},
		{func(o *Options) { o.CapAdd = []string{"FOO"} }, "--cap-add: FOO"},
		{func(o *Options) { o.CapDrop = []string{""} }, "--cap-drop"},
		{func(o *Options) { o.CapAdd, o.CapDrop = []string{"ALL"}, []string{"all"} }, "in conflict with --cap-drop ALL"},
		{func(o *Options) { o.SecurityOpt = []string{"no-new-privileges=maybe"} }, "--security-opt: no-new-privileges=maybe"},
		{func(o *Options) { o.SecurityOpt = []string{"seccomp=profile.json"} }, "not supported"},
		{func(o *Options) { o.Network = "bridge" }, "--network: bridge: neither none nor host"},
		{func(o *Options) { o.Time = "x" }, "--time: x"},

		{func(o *Options) { o.Volumes = []string{"/var"} }, "--volume: /var: not SOURCE:DESTINATION"},
		{func(o *Options) { o.Volumes = []string{"/a:/b:ro:/c"} }, "not SOURCE:DESTINATION"},
		{func(o *Options) { o.Volumes = []string{":/b"} }, "no source"},
		{func(o *Options) { o.Volumes = []string{dir + "/missing:/b"} }, "no such file or directory (it is not made for you)"},
		{func(o *Options) { o.Volumes = []string{"name:/b"} }, "named volumes are not supported"},
		{func(o *Options) { o.Volumes = []string{"/var:rel"} }, "destination rel: not an absolute path"},
		{func(o *Options) { o.Volumes = []string{"/var:"} }, "not an absolute path"},
		{func(o *Options) { o.Volumes = []string{"/var:/.."} }, "destination /"},
		{func(o *Options) { o.Volumes = []string{"/var:/proc/meminfo"} }, "below /proc"},
		{func(o *Options) { o.Volumes = []string{"/var:/x/../proc"} }, "below /proc"},
		{func(o *Options) { o.Volumes = []string{"/var:/sys"} }, "destination /sys"},
		{func(o *Options) { o.Volumes = []string{"/var:/a:ro,rw"} }, "more than one of ro and rw"},
		{func(o *Options) { o.Volumes = []string{"/var:/a:rslave,private"} }, "more than one propagation"},
		{func(o *Options) { o.Volumes = []string{"/var:/a:rshared"} }, "never reach the host"},
		{func(o *Options) { o.Volumes = []string{"/var:/a:nocopy"} }, "option nocopy: unknown"},
		{func(o *Options) { o.Volumes = []string{"/var:/a:"} }, "unknown"},
		{func(o *Options) { o.Volumes, o.Tmpfs = []string{"/var:/a"}, []string{"/a/"} }, "/a is already the destination of --volume /var:/a"},
		{func(o *Options) { o.Tmpfs = []string{"rel"} }, "--tmpfs: rel"},
		{func(o *Options) { o.Tmpfs = []string{"/a:bogus"} }, "option bogus: unknown"},
		{func(o *Options) { o.Tmpfs = []string{"/a:size=x"} }, "option size=x"},
		{func(o *Options) { o.Tmpfs = []string{"/a:size="} }, "option size="},
		{func(o *Options) { o.Tmpfs = []string{"/a:size=1kk"} }, "option size=1kk"},
		{func(o *Options) { o.Tmpfs = []string{"/a:mode=8"} }, "option mode=8"},
		{func(o *Options) { o.Tmpfs = []string{"/a:mode=17777"} }, "option mode=17777"},
		{func(o *Options) { o.Tmpfs = []string{"/a:uid=-1"} }, "option uid=-1"},
	} {
		o := command(c.change)
		err := o.Validate(fakeHost(t, fullV1()))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want it to say %q", *o, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	}
}

func TestValidateHostLacks(t *testing.T) {
	host := fakeHost(t, noSwapV1())
	host.TimeNS, host.SELinux = false, true
	for _, c := range []struct {
		change func(o *Options)
		want   string
	}{
		{func(o *Options) { o.Memory, o.MemorySwap = "10m", "20m" }, "counts no swap"},
		{func(o *Options) { o.Time = "private" }, "no time namespaces"},
		{func(o *Options) { o.Volumes = []string{"/var:/a:Z"} }, "SELinux"},
	} {
		if err := command(c.change).Validate(host); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Validate = %v, want it to say %q", err, c.want)
		}
	}
	files := fullV1()
	files["blkio"] = nil
	if err := command(func(o *Options) { o.BlkioWeight = 100 }).Validate(fakeHost(t, files)); err == nil || !strings.Contains(err.Error(), "no I/O weights") {
		t.Errorf("a weight without a scheduler: %v", err)
	}
	delete(files, "pids")
	if err := command(func(o *Options) { o.PidsLimit = 5 }).Validate(fakeHost(t, files)); !errors.Is(err, cgroup.ErrNoController) {
		t.Errorf("a limit without its controller: %v", err)
	}
}

func TestUsers(t *testing.T) {
	root := fakeRootfs(t)
	for _, c := range []struct {
		user string
		want specs.User
		home string
	}{
		{"", specs.User{AdditionalGids: []uint32{0, 10}}, "/root"},
		{"user", specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{1000, 10, 29}}, "/home/user"},
		{"1000", specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{1000, 10, 29}}, "/home/user"},
		{"1234", specs.User{UID: 1234, AdditionalGids: []uint32{0}}, "/"},
		{"user:audio", specs.User{UID: 1000, GID: 29, AdditionalGids: []uint32{29}}, "/home/user"},
		{"5:7", specs.User{UID: 5, GID: 7, AdditionalGids: []uint32{7}}, "/"},
		{"nohome", specs.User{UID: 7, GID: 7, AdditionalGids: []uint32{7}}, "/"},
	} {
		o := &Options{User: c.user}
		who, home, err := o.lookupUser(root)
		if err != nil {
			t.Errorf("%q: %v", c.user, err)
			continue
		}
		if diff := cmp.Diff(c.want, who); diff != "" || home != c.home {
			t.Errorf("%q: home %q, want %q (-want +got):\n%s", c.user, home, c.home, diff)
		}
	}
	for name, want := range map[string]string{"nosuch": "no such user", "user:nosuch": "no such group"} {
		if _, _, err := (&Options{User: name}).lookupUser(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to say %q", name, err, want)
		}
	}
	// Without the files numbers still work.
	if who, _, err := (&Options{User: "3"}).lookupUser(t.TempDir()); err != nil || who.UID != 3 {
		t.Errorf("3 in an empty root: %+v, %v", who, err)
	}
	if _, _, err := (&Options{User: "root"}).lookupUser(t.TempDir()); err == nil {
		t.Error("root by name in an empty root: no error")
	}
}

// An image whose /etc/passwd is not what it should be.
func TestUsersOfHostileImage(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(secret, []byte("host:x:77:77::/:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	etc := func(put func(path string) error) string {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := put(filepath.Join(root, "etc/passwd")); err != nil {
			t.Fatal(err)
		}
		return root
	}
	for name, root := range map[string]string{
		"a link to the host's": etc(func(p string) error { return os.Symlink(secret, p) }),
		"a link upwards":       etc(func(p string) error { return os.Symlink("../../../../../../.."+secret, p) }),
		"a pipe":               etc(func(p string) error { return unix.Mkfifo(p, 0o644) }),
		"a directory":          etc(func(p string) error { return os.Mkdir(p, 0o755) }),
		"a loop":               etc(func(p string) error { return os.Symlink("passwd", p) }),
		"huge":                 etc(func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, maxDatabase+1)) }),
		"a bad number":         etc(func(p string) error { return os.WriteFile(p, []byte("host:x:-5:0::/:\n"), 0o644) }),
		"too large a number":   etc(func(p string) error { return os.WriteFile(p, []byte("host:x:4294967295:0::/:\n"), 0o644) }),
	} {
		if who, _, err := (&Options{User: "host"}).lookupUser(root); err == nil {
			t.Errorf("%s: user %+v", name, who)
		}
	}
	// A link inside is followed inside.
	root := etc(func(p string) error {
		return errors.Join(os.Symlink("/usr/passwd", p), os.Mkdir(filepath.Join(filepath.Dir(p), "../usr"), 0o755),
			os.WriteFile(filepath.Join(filepath.Dir(p), "../usr/passwd"), []byte("inside:x:5:5::/:\n"), 0o644))
	})
	if who, _, err := (&Options{User: "inside"}).lookupUser(root); err != nil || who.UID != 5 {
		t.Errorf("a link inside: %+v, %v", who, err)
	}
}
