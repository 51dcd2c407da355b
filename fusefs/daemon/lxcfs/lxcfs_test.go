// SPDX-License-Identifier: Apache-2.0

package lxcfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/config"
	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

func TestPolicy(t *testing.T) {
	theirs := view.Policy{
		CPUView: view.CPUViewCPUSet, Numbering: view.NumberingContiguous,
		Loadavg: view.WhoseHost, HostCounters: true, OnError: view.OnErrorHost,
	}
	with := func(change func(*view.Policy)) view.Policy {
		p := theirs
		change(&p)
		return p
	}
	file := config.File{Policy: policy.Choices{"cpu-view": "host", "on-error": "eio", "swap": "limit"}}
	for name, tt := range map[string]struct {
		options Options
		file    config.File
		want    view.Policy
	}{
		"nothing said":   {Options{}, config.File{}, theirs},
		"--enable-cfs":   {Options{EnableCFS: true}, config.File{}, with(func(p *view.Policy) { p.CPUView = view.CPUViewQuota })},
		"-l":             {Options{EnableLoadavg: true}, config.File{}, with(func(p *view.Policy) { p.Loadavg = view.WhoseContainer })},
		"-u":             {Options{DisableSwap: true}, config.File{}, with(func(p *view.Policy) { p.Swap = view.SwapNone })},
		"no effect":      {Options{EnablePSIPoll: true, DisableZswap: true, FUSE: []string{"ro"}}, config.File{}, theirs},
		"a file":         {Options{}, file, with(func(p *view.Policy) { p.CPUView, p.OnError = view.CPUViewHost, view.OnErrorEIO })},
		"a flag over it": {Options{EnableCFS: true, DisableSwap: true}, file, with(func(p *view.Policy) { p.CPUView, p.OnError, p.Swap = view.CPUViewQuota, view.OnErrorEIO, view.SwapNone })},
	} {
		t.Run(name, func(t *testing.T) {
			rules := tt.options.Rules(tt.file)
			if err := rules.Default().Check(); err != nil {
				t.Error(err)
			}
			if got := rules.Default().Policy(); got != tt.want {
				t.Errorf("policy %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestWithoutEffect(t *testing.T) {
	for _, tt := range []struct {
		options Options
		want    []string // how each line begins
	}{
		{Options{EnableCFS: true, EnableLoadavg: true, DisableSwap: true}, nil},
		{Options{EnablePSIPoll: true}, []string{"--enable-psi-poll has no effect"}},
		{Options{DisableZswap: true}, []string{"--disable-zswap has no effect"}},
		{Options{FUSE: []string{"allow_other,nonempty,entry_timeout=1", ""}}, nil},
		{Options{FUSE: []string{"allow_other,max_background=9,x", "y"}, EnablePSIPoll: true}, []string{"--enable-psi-poll", "-o max_background=9,x,y has no effect"}},
	} {
		got := tt.options.WithoutEffect()
		ok := len(got) == len(tt.want)
		for i := range tt.want {
			ok = ok && strings.HasPrefix(got[i], tt.want[i])
		}
		if !ok {
			t.Errorf("%+v: %q, want %q", tt.options, got, tt.want)
		}
	}
}

func TestPidfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, []byte("a longer text of before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	release, err := LockPidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("the file says %q, %v", text, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after release: %v", err)
	}
	if _, err := LockPidfile(filepath.Join(path, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no such directory: %v", err)
	}
}
