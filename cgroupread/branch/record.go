// SPDX-License-Identifier: Apache-2.0

package branch

// Record is what a [Pass] read, in order: the text from which numbers were
// made, so that they can be explained later, also when the cgroup is gone. It is
// cheap enough to be always on: a copy of each text, and of no path.
//
// Its zero value is empty. It belongs to one goroutine at a time.
type Record struct {
	text  []byte // of all files, one after the other
	files []recorded
}

// recorded is one file. Its path is only put together when somebody asks, from
// what outlives the cgroup.
type recorded struct {
	l          *Level
	name       string
	start, end int // in Record.text
	there      bool
}

// Reset empties the record and keeps its memory, unless that is large beyond
// what a read of all files needs.
func (r *Record) Reset() {
	const most = 256 << 10
	clear(r.files) // which hold on to levels
	r.files = r.files[:0]
	r.text = r.text[:0]
	if cap(r.text) > most {
		r.text = nil
	}
}

// Each calls f for each file in the order of reading: its absolute path, and its
// text, which is nil where the file wasn't there and valid until Reset. Threads'
// ids ([Pass.Threads]) aren't among them.
func (r *Record) Each(f func(path string, text []byte)) {
	for i := range r.files {
		file := &r.files[i]
		var text []byte
		if file.there {
			text = r.text[file.start:file.end:file.end]
		}
		f(file.l.file(file.name), text)
	}
}

// Size is how much memory the record keeps for texts, in bytes.
func (r *Record) Size() int { return cap(r.text) }

// add notes a file; a nil text says that it wasn't there. A nil record takes
// nothing.
func (r *Record) add(l *Level, name string, text []byte) {
	if r == nil {
		return
	}
	start := len(r.text)
	r.text = append(r.text, text...)
	r.files = append(r.files, recorded{l, name, start, len(r.text), text != nil})
}
