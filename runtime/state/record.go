// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Record is what the world may know of a container, and what has to go when
// its owner is dead.
type Record struct {
	// ID is the container's id, the name of its entry.
	ID string `json:"id"`
	// Status is the status as the OCI specification names it; Stopped is found
	// out by looking at Init, not written.
	Status specs.ContainerState `json:"status"`
	// Owner holds the lock, Init is the container's first process.
	Owner Process `json:"owner"`
	Init  Process `json:"init,omitzero"`
	// Cgroup is the container's cgroup path as runtime/cgroup takes it, "" for
	// none. Removed with everything below it.
	Cgroup string `json:"cgroup,omitempty"`
	// Dirs are directories of this container alone (its layers). Removed with
	// everything below them, but not across mounts.
	Dirs []string `json:"dirs,omitempty"`
	// Created is when the entry was claimed.
	Created time.Time `json:"created"`
	// Bundle, Rootfs, Command and Annotations are for those who list.
	Bundle      string            `json:"bundle,omitempty"`
	Rootfs      string            `json:"rootfs,omitempty"`
	Command     []string          `json:"command,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const (
	containersDir = "containers"
	lockName      = "lock"
	recordName    = "state.json"
	maxID         = 200 // a file name has at most 255 bytes
	maxRecord     = 16 << 20
)

// CheckID says why an id can't be one: it is a file name and part of a cgroup's
// name, so letters, digits and "_.+-" only, and no "." in front.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("container id: empty")
	case len(id) > maxID:
		return fmt.Errorf("container id: %q…: longer than %d bytes", id[:20], maxID)
	}
	for i, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '+' && c != '-') {
			return fmt.Errorf("container id: %q: may have letters, digits and _ . + - and begins with a letter, digit or _", id)
		}
	}
	return nil
}

// write replaces the record of the entry in dir as a whole.
func (r Record) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write state of %s: %w", r.ID, err)
	}
	path := filepath.Join(dir, recordName)
	temporary := path + ".new"
	// No fsync: the directory is on a tmpfs, and after a crash of the machine
	// nothing that the record names is there any more but directories, which a
	// record of zero bytes would leave behind; rename keeps the old one then.
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write state of %s: %w", r.ID, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write state of %s: %w", r.ID, err)
	}
	return nil
}

// read reads the record of the entry in dir; os.ErrNotExist where there is none.
func read(dir string) (Record, error) {
	path := filepath.Join(dir, recordName)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Record{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Record{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecord {
		return Record{}, fmt.Errorf("read state: %s: not a state file (%s, %d bytes)", path, info.Mode(), info.Size())
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		return Record{}, fmt.Errorf("read state: %s: %w", path, err)
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, fmt.Errorf("read state: %s: %w", path, err)
	}
	if r.ID != filepath.Base(dir) {
		return Record{}, fmt.Errorf("read state: %s: is that of %q", path, r.ID)
	}
	return r, nil
}
