// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// moveBeneath is MOVE_MOUNT_BENEATH (Linux 6.5): the new mount goes between
// the topmost one and what that hides, so that taking the topmost away shows
// the new one without a moment of the kernel's own.
const moveBeneath = 0x200

// Attach is the package's Attach for a process that the caller holds. When
// ctx ends before all is in place, everything is undone.
func (p *Process) Attach(ctx context.Context, trees []Tree) ([]Result, error) {
	return p.withTrees(ctx, trees, func(q *Process, w *work, own []Tree) ([]Result, error) { return q.attach(w, own, isOurs) })
}

// withTrees runs act in the process' mount namespace with copies of the trees
// that live as long as it runs.
func (p *Process) withTrees(ctx context.Context, trees []Tree, act func(*Process, *work, []Tree) ([]Result, error)) ([]Result, error) {
	own := make([]Tree, 0, len(trees))
	seen := map[string]bool{}
	closeOwn := func() {
		for _, t := range own {
			t.Close()
		}
	}
	for _, t := range trees {
		err := t.check()
		if err == nil && seen[t.Destination] {
			err = errors.New("named twice")
		}
		var f *os.File
		if err == nil {
			f, err = dup(t.File)
		}
		if err != nil {
			closeOwn()
			return nil, fmt.Errorf("attach to process %d: %s: %w", p.pid, t.Destination, err)
		}
		seen[t.Destination] = true
		own = append(own, Tree{File: f, Destination: t.Destination, whole: t.whole})
	}
	var results []Result
	err := p.inside(ctx, func(q *Process, w *work) error {
		w.hold(closerFunc(func() error { closeOwn(); return nil }))
		var err error
		results, err = act(q, w, own)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach to process %d: %w", p.pid, err)
	}
	return results, nil
}

// Detach is the package's Detach for a process that the caller holds.
func (p *Process) Detach(ctx context.Context, destinations []string) ([]Result, error) {
	for _, d := range destinations {
		if err := checkDestination(d); err != nil {
			return nil, fmt.Errorf("detach from process %d: %w", p.pid, err)
		}
	}
	var results []Result
	err := p.inside(ctx, func(q *Process, w *work) error {
		var err error
		results, err = q.detach(w, destinations)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("detach from process %d: %w", p.pid, err)
	}
	return results, nil
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

// spot is a destination with what is mounted there.
type spot struct {
	*place
	work *work
	// stack is what is mounted on the file itself, the lowest first.
	stack []*mountinfo.Info
	// yielding is how many of the stack's topmost make room for a new one.
	yielding int
}

// yields says whether a mount makes room for a new one.
type yields func(*mountinfo.Info) bool

// attach runs on the thread that entered. All is looked at before anything is
// done, so that most refusals change nothing at all.
func (p *Process) attach(w *work, trees []Tree, old yields) ([]Result, error) {
	table, err := p.mounts()
	if err != nil {
		return nil, err
	}
	spots := make([]*spot, len(trees))
	keep := make([]bool, len(trees))
	for i, t := range trees {
		s, err := p.look(w, table, t.Destination, old)
		if err == nil {
			err = s.check(t)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Destination, err)
		}
		want, err := identify(int(t.File.Fd()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Destination, err)
		}
		spots[i] = s
		keep[i] = s.yielding == 1 && s.id.dev == want.dev && s.id.ino == want.ino
	}
	results := make([]Result, len(trees))
	for i, t := range trees {
		s, action := spots[i], Placed
		switch {
		case keep[i]:
			action = Unchanged
		case s.yielding > 0:
			action = Replaced
			err = s.replace(t)
		default:
			err = s.put(t)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Destination, err)
		}
		results[i] = Result{Destination: t.Destination, Action: action}
	}
	return results, nil
}

// detach runs on the thread that entered.
func (p *Process) detach(w *work, destinations []string) ([]Result, error) {
	table, err := p.mounts()
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	all := destinations == nil
	for _, m := range table {
		if isOurs(m) && !there[m.Mountpoint] {
			there[m.Mountpoint] = true
			if all {
				destinations = append(destinations, m.Mountpoint)
			}
		}
	}
	results := make([]Result, len(destinations))
	for i, d := range destinations {
		results[i] = Result{Destination: d, Action: Unchanged}
		if !there[d] {
			continue
		}
		if err := p.clear(w, table, d); err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		results[i].Action = Removed
	}
	return results, nil
}

// clear takes everything of ours from the destination d.
func (p *Process) clear(w *work, table []*mountinfo.Info, d string) error {
	s, err := p.look(w, table, d, isOurs)
	if err != nil {
		return err
	}
	if s.yielding == 0 {
		return fmt.Errorf("%w: something is mounted over ours", ErrCovered)
	}
	return s.popAll()
}

// look opens a destination and finds what is mounted there.
func (p *Process) look(w *work, table []*mountinfo.Info, dst string, old yields) (*spot, error) {
	byID := make(map[int]*mountinfo.Info, len(table))
	for _, m := range table {
		byID[m.ID] = m
	}
	fsType := func(_ *os.File, id identity) (string, error) {
		m := byID[int(id.mount)] //nolint:gosec // the kernel's mount ids are ints
		if m == nil {
			return "", errors.New("the container's mounts changed meanwhile: try again")
		}
		return m.FSType, nil
	}
	onTheWay := onKernels(dst, fsType)
	if checkDestination(dst) != nil {
		onTheWay = offFUSE(fsType)
	}
	at, err := walk(p.root, dst, onTheWay)
	if err != nil {
		return nil, err
	}
	w.hold(closerFunc(func() error { at.close(); return nil }))
	s := &spot{place: at, work: w, stack: stackAt(table, int(at.dirID.mount), dst)} //nolint:gosec // as above
	for i := len(s.stack) - 1; i >= 0 && old(s.stack[i]); i-- {
		s.yielding++
	}
	// A mount below a mount that the host shares would show up on the host, too.
	for _, m := range append(s.stack, byID[int(at.dirID.mount)]) { //nolint:gosec // as above
		if g := peerGroup(m); p.hostPeer[g] {
			return nil, fmt.Errorf("%w (%s is %s, as on the host)", ErrHostNamespace, m.Mountpoint, g)
		}
	}
	return s, nil
}

// stackAt returns what is mounted on the file dst of the mount dir, lowest first.
func stackAt(table []*mountinfo.Info, dir int, dst string) []*mountinfo.Info {
	var stack []*mountinfo.Info
	for parent, more := dir, true; more; {
		more = false
		for _, m := range table {
			if m.Parent == parent && m.Mountpoint == dst && m.ID != parent {
				stack, parent, more = append(stack, m), m.ID, true
				break
			}
		}
	}
	return stack
}

// check refuses to cover anything but the kernel's own file, ours and LXCFS's,
// and to put a whole tree where there was none.
func (s *spot) check(t Tree) error {
	if t.whole {
		if s.yielding == 0 {
			return fmt.Errorf("%w: what is there is not LXCFS's", ErrCovered)
		}
		return nil
	}
	if len(s.stack) == 0 {
		if s.id.mount != s.dirID.mount {
			return errors.New("the container's mounts changed meanwhile: try again")
		}
		if s.id.kind != unix.S_IFREG {
			return fmt.Errorf("%w: it is %s", ErrCovered, kindName(s.id.kind))
		}
		return nil
	}
	top := s.stack[len(s.stack)-1]
	if top.FSType != FSType && top.FSType != lxcfsType {
		return fmt.Errorf("%w: %s of a file system of type %s is mounted over it", ErrCovered, top.Root, top.FSType)
	}
	return nil
}

// put mounts the tree on top of what is there now.
func (s *spot) put(t Tree) error {
	return s.work.step(func() error { return s.putTop(t) }, s.unmountTop)
}

func (s *spot) putTop(t Tree) error {
	top, err := s.top()
	if err != nil {
		return err
	}
	defer top.Close()
	return t.move(int(top.Fd()))
}

// top opens what a look-up of the destination gives now.
func (s *spot) top() (*os.File, error) {
	fd, err := unix.Openat(int(s.dir.Fd()), s.name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return os.NewFile(uintptr(fd), s.name), nil
}

// unmountTop takes away the topmost mount. The look-up starts in the checked
// directory, which is the thread's own working directory by then.
func (s *spot) unmountTop() error {
	if err := unix.Fchdir(int(s.dir.Fd())); err != nil {
		return fmt.Errorf("unmount: %w", err)
	}
	if err := unix.Unmount(s.name, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount: %w: it was there when a less privileged namespace copied its mounts and is locked in it", err)
		}
		return fmt.Errorf("unmount: %w", err)
	}
	return nil
}

// cloneTop keeps a copy of the topmost mount by which it can be put back.
func (s *spot) cloneTop() (Tree, error) {
	top, err := s.top()
	if err != nil {
		return Tree{}, err
	}
	defer top.Close()
	// A directory's may have others mounted below it, which go and come with it.
	const flags = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	fd, err := unix.OpenTree(int(top.Fd()), "", flags)
	if err != nil {
		return Tree{}, fmt.Errorf("keep the mount to be replaced: %w", err)
	}
	return Tree{File: os.NewFile(uintptr(fd), s.name)}, nil
}

// pop takes away the topmost mount; undone, it is there again.
func (s *spot) pop() error {
	old, err := s.cloneTop()
	if err != nil {
		return err
	}
	s.work.hold(old)
	return s.work.step(s.unmountTop, func() error { return s.putTop(old) })
}

// popAll takes away everything that yields.
func (s *spot) popAll() error {
	for range s.yielding {
		if err := s.pop(); err != nil {
			return err
		}
	}
	return nil
}

// replace leaves t in the place of everything that yields, without a moment in
// which the file below can be seen where the kernel is able to do that.
func (s *spot) replace(t Tree) error {
	for range s.yielding - 1 {
		if err := s.pop(); err != nil {
			return err
		}
	}
	top, err := s.top()
	if err != nil {
		return err
	}
	defer top.Close()
	const flags = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH | moveBeneath
	err = s.work.step(func() error {
		return unix.MoveMount(int(t.File.Fd()), "", int(top.Fd()), "", flags)
	}, s.removeBeneath)
	if err == nil {
		return s.pop()
	}
	// EINVAL: an older kernel, or a propagation that forbids it.
	if !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("mount beneath: %w", err)
	}
	if err := s.pop(); err != nil {
		return err
	}
	return s.put(t)
}

// removeBeneath undoes a mount beneath the topmost one.
func (s *spot) removeBeneath() error {
	old, err := s.cloneTop()
	if err != nil {
		return err
	}
	defer old.Close()
	if err := errors.Join(s.unmountTop(), s.unmountTop()); err != nil {
		return err
	}
	return s.putTop(old)
}
