// SPDX-License-Identifier: Apache-2.0

package ownviews

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

func TestViews(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := Read(dir); ok || err != nil {
		t.Errorf("nothing written: %v, %v", ok, err)
	}
	want := Views{Devices: []Device{{1, 42}, {0, 43}}, Policy: view.Policy{Swap: view.SwapNone}, Choices: policy.Choices{"swap": "none"}}
	if err := Write(dir, want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := Read(dir)
	if !ok || err != nil || len(got.Devices) != 2 || got.Devices[1] != want.Devices[1] || got.Policy != want.Policy || got.Choices.String() != "swap=none" {
		t.Errorf("read: %+v, %v, %v", got, ok, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(dir); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("half a file: %v", err)
	}
	if err := Write(dir+"/none", want); err == nil {
		t.Error("written where no directory is")
	}
}
