// SPDX-License-Identifier: Apache-2.0

package daemon

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

// ownViewsName is a file in a container's state directory.
const ownViewsName = "views.json"

// OwnViews is what `run` writes down about the views of a container with a server
// of its own, which nobody else can ask.
type OwnViews struct {
	// Major and Minor are the device of the file system: it tells that server's
	// files from those of a daemon that is gone.
	Major   uint32         `json:"major"`
	Minor   uint32         `json:"minor"`
	Policy  view.Policy    `json:"policy"`
	Choices policy.Choices `json:"choices,omitempty"`
}

// WriteOwnViews writes to the container's state directory.
func WriteOwnViews(dir string, v OwnViews) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ownViewsName), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("views: %w", err)
	}
	return nil
}

// ReadOwnViews reads it; ok is false for a container that a daemon serves.
func ReadOwnViews(dir string) (v OwnViews, ok bool, err error) {
	path := filepath.Join(dir, ownViewsName)
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
