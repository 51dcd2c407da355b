// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Cache keeps files of branches open, those used most recently, and the memory
// of passes. It may be shared.
type Cache struct {
	passes sync.Pool
	most   int

	mu             sync.Mutex
	kept           int // files in the list
	newest, oldest *file
}

// A file is an open interface file of a level or, with the name "", its
// directory. It is closed when the cache doesn't keep it and nobody uses it.
type file struct {
	level *Level
	name  string
	fd    int

	// Guarded by Cache.mu.
	users        int   // passes that read it
	kept         bool  // it is in the cache's list and in its level's
	newer, older *file // in the cache's
	next         *file // in its level's
}

// NewCache returns a cache that keeps so many descriptors, and for as long as
// they are in use up to two more for each pass under way.
func NewCache(descriptors int) *Cache { return &Cache{most: max(0, descriptors)} }

// Descriptors is how many descriptors are kept open now.
func (c *Cache) Descriptors() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

// use is a level's file if it is open, nil otherwise. The caller must put it
// back.
func (c *Cache) use(l *Level, name string) *file {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := l.find(name)
	if f == nil {
		return nil
	}
	f.users++
	if c.newest != f {
		c.unlink(f)
		c.link(f)
	}
	return f
}

// add is a level's file that was opened, or the one that another pass opened
// meanwhile. It is kept if asked for, and as long as a branch holds the level.
// The caller must put it back.
func (c *Cache) add(l *Level, name string, fd int, keep bool) *file {
	unwanted := -1
	c.mu.Lock()
	f := l.find(name)
	switch {
	case f != nil:
		unwanted = fd
	case !keep || l.users == 0:
		f = &file{level: l, name: name, fd: fd}
	default:
		f = &file{level: l, name: name, fd: fd, kept: true, next: l.files}
		l.files = f
		c.link(f)
		if c.kept++; c.kept > c.most {
			oldest := c.oldest
			oldest.users++ // as if used here, to be put back below
			c.forget(oldest)
			defer c.put(oldest)
		}
	}
	f.users++
	c.mu.Unlock()
	if unwanted >= 0 {
		_ = unix.Close(unwanted)
	}
	return f
}

// put ends the use of a file.
func (c *Cache) put(f *file) {
	c.mu.Lock()
	f.users--
	unused := f.users == 0 && !f.kept
	c.mu.Unlock()
	if unused {
		_ = unix.Close(f.fd)
	}
}

// shrink closes what is kept open and not in use. false if there was nothing.
func (c *Cache) shrink() bool {
	var unused []*file
	c.mu.Lock()
	for f := c.oldest; f != nil; f = c.oldest {
		c.forget(f)
		if f.users == 0 {
			unused = append(unused, f)
		}
	}
	c.mu.Unlock()
	for _, f := range unused {
		_ = unix.Close(f.fd)
	}
	return len(unused) > 0
}

// drop keeps a file no longer, which its user still has to put back.
func (c *Cache) drop(f *file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(f)
}

// release ends a hold of a level. Levels that nobody holds any more keep nothing
// open.
func (c *Cache) release(l *Level) (err error) {
	var unused []*file
	c.mu.Lock()
	for ; l != nil; l = l.up {
		if l.users--; l.users > 0 {
			break
		}
		for f := l.files; f != nil; f = l.files {
			c.forget(f)
			if f.users == 0 {
				unused = append(unused, f)
			}
		}
		if l.tree.ancestors[l.ino] == l {
			delete(l.tree.ancestors, l.ino)
		}
	}
	c.mu.Unlock()
	for _, f := range unused {
		if failed := unix.Close(f.fd); failed != nil && err == nil {
			err = failed
		}
	}
	return err
}

// find is a level's open file. c.mu is held.
func (l *Level) find(name string) *file {
	f := l.files
	for f != nil && f.name != name {
		f = f.next
	}
	return f
}

// forget takes a file out of both lists if it is there. c.mu is held.
func (c *Cache) forget(f *file) {
	if !f.kept {
		return
	}
	f.kept = false
	c.kept--
	c.unlink(f)
	at := &f.level.files
	for *at != f {
		at = &(*at).next
	}
	*at = f.next
}

// link makes f the newest. c.mu is held.
func (c *Cache) link(f *file) {
	f.older, f.newer = c.newest, nil
	if c.newest != nil {
		c.newest.newer = f
	} else {
		c.oldest = f
	}
	c.newest = f
}

// unlink takes f out of the list. c.mu is held.
func (c *Cache) unlink(f *file) {
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		c.newest = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		c.oldest = f.newer
	}
	f.newer, f.older = nil, nil
}
