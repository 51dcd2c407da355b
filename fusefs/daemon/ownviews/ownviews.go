// SPDX-License-Identifier: Apache-2.0

// Package ownviews is what `run` writes down about the views of a container with a
// server of its own, which nobody else can ask: a file in the container's state
// directory.
package ownviews

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/procfs-shim/procfs-shim/fusefs/daemon/policy"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// name is a file in a container's state directory.
const name = "views.json"

// Views is the file's content.
type Views struct {
	// Devices are those of the file systems: they tell that server's files from
	// those of a daemon that is gone.
	Devices []Device       `json:"devices"`
	Policy  view.Policy    `json:"policy"`
	Choices policy.Choices `json:"choices,omitempty"`
}

// Device is the number of a file system, as in mountinfo (proc(5)).
type Device struct {
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
}

// Write writes to the container's state directory.
func Write(dir string, v Views) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("views: %w", err)
	}
	return nil
}

// Read reads it; ok is false for a container that a daemon serves.
func Read(dir string) (v Views, ok bool, err error) {
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return v, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return v, false, fmt.Errorf("views: %s: %w", path, err)
	}
	return v, true, nil
}
