// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"time"
)

// Action is what happened to one file.
type Action int

const (
	// Unchanged means that a file of the same served file system lay there already (Attach), or none of ours (Detach).
	Unchanged Action = iota
	// Placed means that the file was put over the kernel's or an engine's own.
	Placed
	// Replaced means that an older or dead one of ours, or LXCFS's, made room for it.
	Replaced
	// Removed means that ours, or LXCFS's, was taken away; what it hid is visible again.
	Removed
	// Left means that a mount of LXCFS stays: nothing of ours goes there.
	Left
)

func (a Action) String() string {
	return [...]string{"unchanged", "placed", "replaced", "removed", "left"}[a]
}

// Result is what happened to one destination.
type Result struct {
	Destination string
	Action      Action
}

// patience bounds the work on one container: its root directory's file system
// may be a FUSE one whose server doesn't answer.
const patience = 10 * time.Second

// Attach puts the trees over their destinations in the mount namespace of the
// process pid, all of them or, when an error is returned, none. What is there
// already and the same is kept. The trees stay the caller's to close. Errors
// match ErrGone, ErrHostNamespace, ErrCovered where these are the cause.
func Attach(pid int, trees []Tree) ([]Result, error) {
	p, err := Open("/proc", pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Attach(ctx, trees)
}

// Detach takes away the files that Attach put over the destinations (nil:
// over any file), also when several lie on one another, all of them or, when
// an error is returned, none. A destination without one is Unchanged.
func Detach(pid int, destinations []string) ([]Result, error) {
	p, err := Open("/proc", pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Detach(ctx, destinations)
}
