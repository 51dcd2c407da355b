// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxDatabase bounds /etc/passwd and /etc/group of an image that we read.
const maxDatabase = 16 << 20

// maxID is the largest uid and gid that docker takes.
const maxID = 1<<31 - 1

// checkUser finds what is wrong with --user without the container's files.
func (o *Options) checkUser() error {
	for _, part := range strings.SplitN(o.User, ":", 2) {
		if strings.ContainsAny(part, ":\n\x00") {
			return bad("--user", o.User, "not NAME, UID, NAME:GROUP or UID:GID")
		}
		if digits := strings.TrimPrefix(part, "-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
			if n, err := strconv.ParseInt(part, 10, 64); err != nil || n < 0 || n > maxID {
				return bad("--user", o.User, "%s is not from 0 to %d", part, maxID)
			}
		}
	}
	if strings.HasPrefix(o.User, ":") || strings.HasSuffix(o.User, ":") {
		return bad("--user", o.User, "not NAME, UID, NAME:GROUP or UID:GID")
	}
	return nil
}

// lookupUser finds --user, root without it, in the container's /etc/passwd and
// /etc/group below rootfs; numbers needn't be there. home is "/" where nothing
// says another one.
func (o *Options) lookupUser(rootfs string) (who specs.User, home string, err error) {
	root, err := os.OpenFile(rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return specs.User{}, "", fmt.Errorf("root file system: %w", err)
	}
	defer func() { _ = root.Close() }()
	passwd, err := readInRoot(root, "/etc/passwd")
	if err != nil {
		return specs.User{}, "", err
	}
	group, err := readInRoot(root, "/etc/group")
	if err != nil {
		return specs.User{}, "", err
	}
	found, err := user.GetExecUser(o.User, &user.ExecUser{Home: "/"}, bytes.NewReader(passwd), bytes.NewReader(group))
	switch {
	case errors.Is(err, user.ErrNoPasswdEntries):
		return specs.User{}, "", bad("--user", o.User, "no such user in the container's /etc/passwd (a number needs no entry)")
	case errors.Is(err, user.ErrNoGroupEntries):
		return specs.User{}, "", bad("--user", o.User, "no such group in the container's /etc/group (a number needs no entry)")
	case err != nil:
		return specs.User{}, "", &Error{Flag: "--user", Value: o.User, Err: err}
	}
	ids := append([]int{found.Uid, found.Gid}, found.Sgids...)
	if slices.Min(ids) < 0 || slices.Max(ids) > maxID {
		return specs.User{}, "", bad("--user", o.User, "an ID in the container's /etc/passwd or /etc/group is not from 0 to %d", maxID)
	}
	who = specs.User{UID: uint32(found.Uid), GID: uint32(found.Gid)}
	// The primary group is among the supplementary ones, as docker has it: else
	// a process could leave it behind (CVE-2022-36109).
	for _, gid := range ids[1:] {
		if !slices.Contains(who.AdditionalGids, uint32(gid)) {
			who.AdditionalGids = append(who.AdditionalGids, uint32(gid))
		}
	}
	if home = found.Home; home == "" {
		home = "/"
	}
	return who, home, nil
}

// readInRoot reads a regular file below root, symbolic links resolved as if
// root were "/". A missing one is empty. The image's author chose what is
// there: a pipe would block us, a device do harm, so it is looked at before it
// is opened.
func readInRoot(root *os.File, name string) ([]byte, error) {
	handle, err := pathrs.OpenatInRoot(root, name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("container's %s: %w", name, err)
	}
	defer func() { _ = handle.Close() }()
	st, err := handle.Stat()
	if err != nil {
		return nil, fmt.Errorf("container's %s: %w", name, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("container's %s: not a regular file", name)
	}
	file, err := pathrs.Reopen(handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("container's %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxDatabase+1))
	if err != nil {
		return nil, fmt.Errorf("container's %s: %w", name, err)
	}
	if len(text) > maxDatabase {
		return nil, fmt.Errorf("container's %s: more than %d bytes", name, maxDatabase)
	}
	return text, nil
}
