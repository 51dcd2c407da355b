// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
)

// mostKept is how many threads are kept from one look-up to the next, each with
// one descriptor. The init processes of their namespaces may be as many more.
const mostKept = 256

// maxAge is how long ago the cgroup of an init process may have been looked at: as
// long as it may take until a changed limit is seen. Reading it anew for each
// reader is half the cost of a look-up, 5 to 10 µs with v1's ten paths. A reader's
// own is never older than its request, and the other counts only if it is the same
// or above: so nobody is shown what isn't its own.
const maxAge = 10 * time.Millisecond

// A thread is one whose PID namespace and init process are known. Both stay the
// same for as long as it lives, and where it is now its file tells.
type thread struct {
	proc  string
	id    int // in the numbering of proc
	file  int // descriptor of /proc/ID/cgroup: of this thread, or ESRCH when it has ended
	space namespace
	// init is its namespace's init process, which may be itself, with a reference;
	// nil in the host's namespace.
	init *thread

	found atomic.Pointer[finding] // the last look-up's
	refs  atomic.Int64            // see release
	used  uint64                  // guarded by kept.mu; kept.reads then

	mu   sync.Mutex
	last *membership // what file said last; nil if that must not be remembered
	at   time.Time   // not after it said so
}

// A membership is what /proc/TID/cgroup said and what that means. It doesn't change.
type membership struct {
	text  string
	paths cgroupread.Paths
}

// A finding is the place of a thread, and what it was found from.
type finding struct {
	own, init *membership
	place     Place
}

// follow opens the task's cgroup file. The thread has one reference.
func (t task) follow() (*thread, error) {
	fd, err := openat(t.dir, "cgroup", unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("process: %s: %w", t.path("cgroup"), err)
	}
	followed := &thread{proc: t.proc, id: t.id, file: fd}
	followed.refs.Store(1)
	return followed, nil
}

// release gives a reference back; with the last one the file is closed. Who has
// none may only take one from kept, under its lock.
func (t *thread) release() {
	if t.refs.Add(-1) > 0 {
		return
	}
	_ = unix.Close(t.file) // opened for reading: nothing left to fail
	if t.init != nil && t.init != t {
		t.init.release()
	}
}

// recent says where the thread was at most maxAge ago.
func (l *Locator) recent(t *thread) (*membership, error) {
	last, at := t.remembered()
	if last != nil && l.now().Sub(at) < maxAge {
		return last, nil
	}
	return l.membership(t)
}

// membership says where the thread is now. As long as its file says the same, it
// returns the same pointer.
func (l *Locator) membership(t *thread) (*membership, error) {
	at := l.now()
	buffer, _ := l.buffers.Get().(*[]byte)
	defer l.buffers.Put(buffer)
	text, err := preadWhole(t.file, buffer)
	if err == nil {
		now, _ := t.remembered()
		if now == nil || now.text != string(text) {
			now = &membership{text: string(text)}
			if now.paths, err = l.layout.OfText(text); err == nil && inV1Roots(text) {
				err = l.checkAlive(t)
			}
		}
		if err == nil {
			t.remember(now, at)
			return now, nil
		}
	}
	return nil, fmt.Errorf("process: %s/%d/cgroup: %w", t.proc, t.id, err)
}

// inV1Roots says whether text names the root in all of v1's hierarchies.
func inV1Roots(text []byte) bool {
	some := false
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("0::")) {
			continue
		}
		if !bytes.HasSuffix(line, []byte(":/\n")) {
			return false
		}
		some = true
	}
	return some
}

// checkAlive returns an error, which is ended, for a thread that is being taken
// away: on v1 such are said to be in the root, wherever they are (proc_cgroup_show in
// the kernel's kernel/cgroup/cgroup.c). It may be an init process for long, whose
// first thread has ended and others haven't.
func (l *Locator) checkAlive(t *thread) error {
	task, err := openTask(t.proc, t.id)
	if err != nil {
		return err
	}
	defer task.close()
	text, err := task.read("stat")
	if err != nil {
		return err
	}
	// If it is still there, the number was its own all the time.
	if _, err := unix.Pread(t.file, make([]byte, 1), 0); err != nil {
		return err
	}
	exiting, err := parseExiting(text)
	if err == nil && exiting {
		err = unix.ESRCH
	}
	return err
}

// remembered returns what remember was given last.
func (t *thread) remembered() (last *membership, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.at
}

// remember keeps what the thread's file said, at this time or later, unless it is
// known what it said after that.
func (t *thread) remember(m *membership, at time.Time) {
	if strings.Contains(m.text, " (deleted)\n") {
		// A cgroup with such a name and one that is gone have the same text: only a
		// new look tells them apart (cgroupread.Layout.OfText).
		m = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !at.Before(t.at) {
		t.last, t.at = m, at
	}
}

// preadWhole returns the whole of a small file that is written anew for each read
// at its start, so in one read: the text of two might be halves of two. It is in
// buffer until that is used again.
func preadWhole(fd int, buffer *[]byte) ([]byte, error) {
	for {
		n, err := unix.Pread(fd, *buffer, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case n < len(*buffer):
			return (*buffer)[:n], nil
		case n >= maxText:
			return nil, fmt.Errorf("longer than %d bytes", maxText)
		default:
			*buffer = slices.Grow(*buffer, n+1)
			*buffer = (*buffer)[:cap(*buffer)]
		}
	}
}

// kept are the threads that were looked up last. When there are too many, one of
// the PID namespace that has the most of them goes, the one used least recently: so
// a container with a thousand readers takes no place from one with a few.
//
// An ended thread stays until then. Its descriptor keeps the kernel's struct pid
// and with that the number of the namespace's inode, which is therefore nobody
// else's while it is a key here.
type kept struct {
	most int

	mu      sync.Mutex
	reads   uint64 // counts up
	byID    map[int]*thread
	inits   map[namespace]*thread // those in byID that are init processes
	members map[namespace]int     // how many of byID are in the namespace
}

func newKept(most int) *kept {
	return &kept{most: most, byID: map[int]*thread{}, inits: map[namespace]*thread{}, members: map[namespace]int{}}
}

// use returns the thread that had this number when it was kept, with a reference
// for the caller; nil if there is none.
func (k *kept) use(id int) *thread {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.touch(k.byID[id])
}

// initOf returns the init process of space likewise.
func (k *kept) initOf(space namespace) *thread {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.touch(k.inits[space])
}

// touch needs mu.
func (k *kept) touch(t *thread) *thread {
	if t == nil {
		return nil
	}
	k.reads++
	t.used = k.reads
	if t.init != nil {
		t.init.used = k.reads
	}
	t.refs.Add(1)
	return t
}

// add keeps a thread and its namespace's init process, in place of others that
// had their numbers.
func (k *kept) add(t *thread) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.init != nil && t.init != t {
		k.put(t.init)
	}
	k.put(t)
	for len(k.byID) > k.most {
		k.take(k.leastWanted())
	}
}

// put needs mu.
func (k *kept) put(t *thread) {
	old := k.byID[t.id]
	if old != t {
		if old != nil {
			k.take(old)
		}
		k.byID[t.id] = t
		k.members[t.space]++
		if t.init == t {
			k.inits[t.space] = t
		}
		t.refs.Add(1)
	}
	k.reads++
	t.used = k.reads
}

// forget keeps a thread no longer.
func (k *kept) forget(t *thread) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID[t.id] == t {
		k.take(t)
	}
}

// take needs mu and a thread that is in byID.
func (k *kept) take(t *thread) {
	delete(k.byID, t.id)
	if k.inits[t.space] == t {
		delete(k.inits, t.space)
	}
	if k.members[t.space]--; k.members[t.space] == 0 {
		delete(k.members, t.space)
	}
	t.release() // close(2) of a file of /proc waits for nobody
}

// leastWanted needs mu.
func (k *kept) leastWanted() (least *thread) {
	most := 0
	for _, t := range k.byID {
		n := k.members[t.space]
		if n > most || n == most && t.used < least.used {
			least, most = t, n
		}
	}
	return least
}

// clear keeps nothing any more, nor anything that is added later.
func (k *kept) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.most = 0
	for _, t := range k.byID {
		k.take(t)
	}
}
