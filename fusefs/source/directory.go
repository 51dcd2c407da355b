// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"path/filepath"

	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/sysdir"
)

// A Directory is one whose entries are the host's at the moment, as far as package
// sysdir has rules for them, beside those files of the table that are in it.
type Directory struct {
	// Path is where it is in a view.
	Path string
	// Own says that each container has entries of its own: the nodes of its
	// cpuset.
	Own bool

	host *Host
	sys  *sysdir.Dir
}

// openDirectories opens those that the host has.
func (h *Host) openDirectories(sysRoot string) {
	at := func(name string) string { return filepath.Join(sysRoot, "devices/system", name) }
	for _, d := range []*Directory{
		{Path: "sys/devices/system/cpu", host: h, sys: sysdir.CPUs(at("cpu"))},
		{Path: "sys/devices/system/node", host: h, sys: sysdir.Nodes(at("node")), Own: true},
	} {
		if err := d.sys.Open(); err == nil {
			h.directories = append(h.directories, d)
		}
	}
}

// Directories are those that the host has.
func (h *Host) Directories() []*Directory { return h.directories }

// Is says whether a number can be of an entry of this directory.
func (d *Directory) Is(number uint32) bool { return d.sys.Scheme().Is(number) }

// At returns the entry with this number; fs.ErrNotExist if it isn't there now.
// Whether a container has it, Shows says.
func (d *Directory) At(number uint32) (sysdir.Entry, error) { return d.sys.At(number) }

// Find returns the entry of parent (nil: the directory itself) with this name.
func (d *Directory) Find(parent *sysdir.Entry, name string) (sysdir.Entry, error) {
	return d.sys.Find(parent, name)
}

// List returns the entries of parent (nil: the directory itself).
func (d *Directory) List(parent *sysdir.Entry) ([]sysdir.Entry, error) { return d.sys.List(parent) }

// Above returns the number of the directory that an entry is in; false if that is
// the directory itself.
func (d *Directory) Above(e *sysdir.Entry) (uint32, bool) { return d.sys.Above(e) }

// Shows returns which entries a container has, for a directory with entries of its
// own; others have all.
func (d *Directory) Shows(c *Container) (func(e *sysdir.Entry) bool, error) {
	_, shown, err := shownNodes(d.host.files.Reader(nil), c.cg.Reader(nil))
	if err != nil {
		return nil, err
	}
	return func(e *sysdir.Entry) bool { return shown.Has(e.First) }, nil
}

// File is an entry's file.
func (d *Directory) File(e *sysdir.Entry) *File {
	f := &File{Path: d.Path + "/" + e.Path, Number: e.Number, Mode: e.Mode, source: passed{d, *e}}
	if own := nodeSource(passed{d, *e}); d.Own && own != nil {
		f.source = own
	}
	return f
}

// Passed says that the file shows the host's text to everybody.
func (f *File) Passed() bool {
	_, ok := f.source.(passed)
	return ok
}

// passed is a file of the host that is shown as it is.
type passed struct {
	dir   *Directory
	entry sysdir.Entry
}

func (p passed) append(dst []byte, m *moment) ([]byte, error) {
	return p.appendHost(dst, m.Container.host)
}

func (p passed) appendHost(dst []byte, _ *Host) ([]byte, error) {
	text, err := p.dir.sys.Append(dst, &p.entry)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", hostread.ErrUnreadable, err)
	}
	return text, nil
}
