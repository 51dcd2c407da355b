// SPDX-License-Identifier: Apache-2.0

package texts

import (
	"bytes"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
)

// A version is the text of a static file that a container is shown, until another
// one takes its place.
type version struct {
	number uint32             // of the file
	text   *snapshot.Snapshot // nil when there is none to be had
	err    error              // why
	since  time.Time          // no two versions of a file have the same
	made   source.Version     // of text; zero for what is shown in place of the container's
	look   uint64             // the last one that found it: a later look has a higher number
	held   time.Time          // when the container was last seen to have it
}

// Told is what the kernel is told of a version.
type Told struct {
	Since time.Time // no two versions of a file have the same
	Size  int       // of the text, in bytes
	Known bool      // false when there is no text: whoever reads is told why
}

func (v *version) told() Told {
	if v.text == nil {
		return Told{Since: v.since}
	}
	return Told{v.since, len(v.text.Text), true}
}

// Check looks whether the version of a file still holds, puts another in its place
// if it doesn't, and returns what is in force then.
func (c *Texts) Check(f *source.File) Told {
	for {
		found, known := c.look(f)
		if t, ok := c.settle(&found, known); ok {
			return t
		}
	}
}

// look makes the version that should be in force now; known says that it is the one
// in force, and has no text then.
func (c *Texts) look(f *source.File) (found version, known bool) {
	found = version{number: f.Number, look: c.looks.Add(1), held: c.host.Now()}
	var before version
	c.mu.Lock()
	if v := c.versionLocked(f.Number); v != nil {
		before = *v
	}
	c.mu.Unlock()
	made := before.made
	s, err := c.host.Generate(Text{File: f}, *c.policy.Load(), func(dst []byte, f *source.File, how source.How) (text []byte, err error) {
		text, made, err = c.source.AppendNew(dst, f, how, made)
		return text, err
	})
	switch {
	case err == nil && made.Equal(before.made):
		c.host.Pool.Release(s)
		found.made = made
		return found, true
	case err == nil:
		found.text, found.made = s, made
		return found, false
	case !before.made.IsZero() && found.held.Sub(before.held) <= LastGoodMaxAge:
		c.failures.Count(err, f.Path, insteadLastGood)
		found.made, found.held = before.made, before.held
		return found, true
	}
	found.text, found.err = c.host.Instead(Text{File: f}, *c.policy.Load(), &c.failures, err)
	return found, false
}

// settle puts what a look found in the place of the version in force, unless that
// is the same or was found by a look that began later. It takes over the reference
// to the text. It fails when what was known is not in force any more.
func (c *Texts) settle(found *version, known bool) (t Told, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.versionLocked(found.number)
	if v == nil {
		c.versions = append(c.versions, version{number: found.number})
		v = &c.versions[len(c.versions)-1]
	}
	spare := found.text
	switch {
	case v.look > found.look:
	case known && !v.made.Equal(found.made):
		return Told{}, false
	case known || v.look > 0 && v.sameText(found):
		v.made, v.err, v.look, v.held = found.made, found.err, found.look, found.held
	default:
		// The kernel tells versions apart by nothing but this time.
		found.since = later(found.held, v.since)
		spare, *v = v.text, *found
	}
	if spare != nil {
		c.host.Pool.Release(spare)
	}
	return v.told(), true
}

// sameText says whether readers see the same by both.
func (v *version) sameText(o *version) bool {
	if v.text == nil || o.text == nil {
		return v.text == o.text
	}
	return bytes.Equal(v.text.Text, o.text.Text)
}

// later is a time, or if that isn't after the one before, the next there is.
func later(at, before time.Time) time.Time {
	if at.After(before) {
		return at
	}
	return before.Add(time.Nanosecond)
}

// versionLocked needs mu. It returns the version in force, valid until mu is given
// back, or nil.
func (c *Texts) versionLocked(number uint32) *version {
	for i := range c.versions {
		if c.versions[i].number == number {
			return &c.versions[i]
		}
	}
	return nil
}

// Kept returns the text of the version in force, whose reference is the caller's.
func (c *Texts) Kept(f *source.File) (*snapshot.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.versionLocked(f.Number)
	if v == nil {
		// It was a former process that told the kernel of the file.
		c.mu.Unlock()
		c.Check(f)
		c.mu.Lock()
		v = c.versionLocked(f.Number)
	}
	if v.text == nil {
		return nil, v.err
	}
	return v.text.Retain(), nil
}

// Find returns the text of a version in force if it is the snapshot with this
// ID, with a reference for the caller; nil otherwise.
func (c *Texts) Find(id uint64) *snapshot.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.versions {
		if s := c.versions[i].text; s != nil && s.ID == id {
			return s.Retain()
		}
	}
	return nil
}
