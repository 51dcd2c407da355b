// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
	"github.com/procfs-shim/procfs-shim/fusefs/snapshot"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/texts"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// What can't be explained.
var (
	ErrNotRegistered = errors.New("no such container is registered")
	ErrNotServed     = errors.New("no such file is served")
	ErrNoSnapshot    = errors.New("no open file holds such a snapshot")
)

// An Explanation is a text and what it was made from.
type Explanation struct {
	// Snapshot is the ID that a reader whose open file shows this text gets from
	// ioctl(fd, _IOR('p', 1, uint64)).
	Snapshot uint64
	At       time.Time // when the text was made
	File     string    // "proc/meminfo"
	Text     []byte
	Policy   view.Policy // that was in force
	Init     locate.Init // of the container
	// Hosts says that the text is the host's own because the container's could not
	// be had (view.OnErrorHost).
	Hosts  bool
	Inputs []Input // in the order of reading
}

// An Input is a file that a text was made from.
type Input struct {
	Path string // absolute, as this process sees it
	Text []byte // nil where the file wasn't there
}

// Explain returns a text of a container's file and what it was made from: the
// snapshot with this ID, if an open file holds it or the kernel keeps it, or with 0
// a new one. path is as
// in [Files], or of a file in one of the host's directories. Errors are
// ErrNotRegistered, ErrNotServed, ErrNoSnapshot, and what a read would fail with.
func (b *Bound) Explain(id, path string, snapshotID uint64) (Explanation, error) {
	b.mu.RLock()
	c, ok := b.byID[id]
	if ok {
		c.Retain()
	}
	b.mu.RUnlock()
	if !ok {
		return Explanation{}, fmt.Errorf("explain %s: %w", id, ErrNotRegistered)
	}
	defer c.Release()
	e, err := b.explain(c, path, snapshotID)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain %s: %s: %w", id, path, err)
	}
	return e, nil
}

func (b *Bound) explain(c *bound, path string, snapshotID uint64) (Explanation, error) {
	f, err := fileAtPath(b.views, path)
	if err != nil {
		return Explanation{}, err
	}
	if snapshotID != 0 {
		return heldExplanation(b.host.pool, snapshotID, f.Path, c.handles.Find, c.Find)
	}
	s, err := c.Show(texts.Text{File: f})
	if err != nil {
		return Explanation{}, err
	}
	defer b.host.pool.Release(s)
	return explanation(s), nil
}

// Explain returns the text of the snapshot with this ID, if an open file of the
// tree holds it, and what it was made from; else ErrNoSnapshot.
func (s *Shared) Explain(snapshotID uint64) (Explanation, error) {
	return heldExplanation(s.host.pool, snapshotID, "", s.handles.Find)
}

// heldExplanation explains what one of the places holds; file "" stands for any.
func heldExplanation(p *snapshot.Pool, id uint64, file string, places ...func(id uint64) *snapshot.Snapshot) (Explanation, error) {
	var s *snapshot.Snapshot
	for _, find := range places {
		if s == nil {
			s = find(id)
		}
	}
	if s == nil {
		return Explanation{}, fmt.Errorf("snapshot %d: %w", id, ErrNoSnapshot)
	}
	defer p.Release(s)
	e := explanation(s)
	if file != "" && e.File != file {
		return Explanation{}, fmt.Errorf("snapshot %d is of %s: %w", id, e.File, ErrNoSnapshot)
	}
	return e, nil
}

// explanation copies what s holds, whose memory is used again.
func explanation(s *snapshot.Snapshot) Explanation {
	r := texts.RecordOf(s)
	e := Explanation{
		Snapshot: s.ID, At: s.At, File: r.Path, Text: slices.Clone(s.Text), Policy: r.Policy, Init: r.Init, Hosts: r.Hosts,
	}
	r.Each(func(path string, text []byte) {
		e.Inputs = append(e.Inputs, Input{path, slices.Clone(text)})
	})
	return e
}

// fileAtPath finds a file of a view.
func fileAtPath(v *nodes.View, path string) (*source.File, error) {
	n := v.Top()
	for name := range strings.SplitSeq(path, "/") {
		if !n.Directory() {
			return nil, ErrNotServed
		}
		var err error
		if n, err = v.Child(n, name); errors.Is(err, nodes.ErrNone) {
			return nil, ErrNotServed
		} else if err != nil {
			return nil, err
		}
	}
	if n.File == nil {
		return nil, ErrNotServed
	}
	return n.File, nil
}
