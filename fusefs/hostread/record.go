// SPDX-License-Identifier: Apache-2.0

package hostread

// Record is what a [Reader] read, in order: the host's texts from which numbers
// were made, so that they can be explained later. It costs nothing but to keep
// them: texts are shared by all who were given them, and not copied.
//
// Its zero value is empty. It belongs to one goroutine at a time, and must not be
// copied.
type Record struct{ inputs []input }

// An input is one file's text, which nobody changes while it is held.
type input struct {
	path string
	text []byte
	hold hold // nil if there is none
}

// A hold keeps a text, and what was made of it, from being overwritten.
type hold interface{ release() }

// Reset empties the record. What was read with it must not be used any more.
func (r *Record) Reset() {
	for i := range r.inputs {
		if h := r.inputs[i].hold; h != nil {
			h.release()
		}
	}
	clear(r.inputs)
	r.inputs = r.inputs[:0]
}

// Each calls f for each file in the order of reading: its absolute path, and its
// text, which must not be changed.
func (r *Record) Each(f func(path string, text []byte)) {
	for _, in := range r.inputs {
		f(in.path, in.text)
	}
}

// Size is how many bytes of text the record keeps from being freed.
func (r *Record) Size() (size int) {
	for _, in := range r.inputs {
		size += len(in.text)
	}
	return size
}

// add notes a file, and takes over the hold. A nil record takes nothing.
func (r *Record) add(path string, text []byte, h hold) {
	if r != nil {
		r.inputs = append(r.inputs, input{path, text, h})
	}
}
