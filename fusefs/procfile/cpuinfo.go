// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"strings"
)

// cpuinfoPath names the file in errors.
const cpuinfoPath = "proc/cpuinfo"

// maxCPU bounds the CPU numbers that are believed; the kernel's NR_CPUS ends far
// below.
const maxCPU = 65535

// A CPUInfo is the content of /proc/cpuinfo: blocks of text that belong to one
// CPU each, and what stands before and after them.
//
// Every architecture has a form of its own (arch/*/kernel, show_cpuinfo):
//
//	x86, arm64, riscv   only blocks
//	arm                 a tail: Hardware, Revision, Serial; before 3.8 a head, too
//	mips                a head, with no blank line after it: system type, machine
//	ppc                 a tail: timebase, platform, model, machine
//	s390                a head that counts the CPUs ("# processors"), one line for
//	                    each CPU ("processor 0: version = …"), and since 4.12
//	                    a block for each CPU ("cpu number : 0")
//
// On s390 a CPU therefore has two blocks, and all the first come before all the
// second: whoever hides a CPU drops every block with its number.
//
// Files in which no CPU is found (sparc, alpha, m68k) are an error.
type CPUInfo struct {
	Head   string
	Blocks []CPUBlock
	Tail   string

	processors cpuNumber // s390's count, in Head
}

// A CPUBlock is what the file says about one CPU, blank lines after (s390:
// before) it included.
type CPUBlock struct {
	CPU  int    // the kernel's number of the CPU
	Text string // as parsed, without the changes of Set

	fields [cpuFields]cpuNumber
}

// A CPUField names a field of a block that has a meaning across CPUs.
type CPUField int

// The fields. The value of Processor, Siblings and CPUCores can be changed.
const (
	Processor  CPUField = iota // the CPU's number: "processor", s390's "cpu number"
	Siblings                   // online CPUs of the package
	CPUCores                   // cores of the package that have an online CPU
	PhysicalID                 // the package's number; on s390 within its book
	CoreID                     // the core's number within its package
	BookID                     // s390: the book's number within its drawer
	DrawerID                   // s390
	cpuFields
)

// editable says that the field is a number that a view may change.
func (f CPUField) editable() bool { return f <= CPUCores }

// A cpuNumber is where a value stands in a text, and what it is changed to.
type cpuNumber struct {
	start, end int // end is 0 when the field isn't there
	value      int
	changed    bool
}

// ParseCPUInfo parses the whole of /proc/cpuinfo. The text is copied. The error
// is a [*ParseError].
func ParseCPUInfo(text []byte) (*CPUInfo, error) {
	c := new(CPUInfo)
	if err := c.Parse(text); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse replaces what c holds by the whole of text. It makes one copy of text,
// which values made from c go on sharing, and reuses c's blocks. After an error c
// is empty.
func (c *CPUInfo) Parse(text []byte) error {
	p := cpuinfoParser{text: string(text), blocks: c.Blocks[:0]}
	if err := p.parse(); err != nil {
		*c = CPUInfo{Blocks: c.Blocks[:0]}
		return err
	}
	*c = CPUInfo{
		Head:       p.text[:p.headEnd],
		Blocks:     p.blocks,
		Tail:       p.text[p.tailStart:],
		processors: p.processors,
	}
	return nil
}

// Processors returns the count of CPUs that s390's head gives; ok is false where
// there is none.
func (c *CPUInfo) Processors() (n int, ok bool) {
	return c.processors.value, c.processors.end > 0
}

// SetProcessors changes the count of CPUs in the head and says whether there is
// one.
func (c *CPUInfo) SetProcessors(n int) bool { return c.processors.set(n) }

// CopyFrom makes c an independent copy of src, reusing c's blocks. The texts are
// shared, for strings don't change.
func (c *CPUInfo) CopyFrom(src *CPUInfo) {
	c.CopyHead(src)
	c.Blocks = append(c.Blocks, src.Blocks...)
}

// CopyHead makes c a copy of src without its blocks, reusing c's memory: the
// start of a view that shows some of them.
func (c *CPUInfo) CopyHead(src *CPUInfo) {
	blocks := c.Blocks[:0]
	*c = *src
	c.Blocks = blocks
}

// Append appends the file's text to dst.
func (c *CPUInfo) Append(dst []byte) []byte {
	if c.processors.changed {
		dst = append(dst, c.Head[:c.processors.start]...)
		dst = appendRight(dst, uint64(max(0, c.processors.value)), 0)
		dst = append(dst, c.Head[c.processors.end:]...)
	} else {
		dst = append(dst, c.Head...)
	}
	for i := range c.Blocks {
		dst = c.Blocks[i].Append(dst)
	}
	return append(dst, c.Tail...)
}

// Get returns the field as it was parsed; ok is false when the block doesn't
// have it.
func (b *CPUBlock) Get(f CPUField) (text string, ok bool) {
	n := &b.fields[f]
	return b.Text[n.start:n.end], n.end > 0
}

// Number returns the value of Processor, Siblings or CPUCores, changes included.
func (b *CPUBlock) Number(f CPUField) (n int, ok bool) {
	if !f.editable() {
		return 0, false
	}
	return b.fields[f].value, b.fields[f].end > 0
}

// SetNumber changes Processor, Siblings or CPUCores in the text that Append
// writes, and says whether the block has that field. CPU stays as it is.
func (b *CPUBlock) SetNumber(f CPUField, n int) bool {
	return f.editable() && b.fields[f].set(n)
}

// Append appends the block's text to dst.
func (b *CPUBlock) Append(dst []byte) []byte {
	from := 0
	for {
		next := cpuFields // the changed field that comes next in the text
		for f := Processor; f.editable(); f++ {
			n := &b.fields[f]
			if n.changed && n.start >= from && (next == cpuFields || n.start < b.fields[next].start) {
				next = f
			}
		}
		if next == cpuFields {
			return append(dst, b.Text[from:]...)
		}
		n := &b.fields[next]
		dst = append(dst, b.Text[from:n.start]...)
		dst = appendRight(dst, uint64(max(0, n.value)), 0)
		from = n.end
	}
}

// set changes the number if it is there.
func (n *cpuNumber) set(value int) bool {
	if n.end == 0 {
		return false
	}
	n.changed = n.changed || n.value != value
	n.value = value
	return true
}

// cpuField returns the field whose key, without blanks around it, is key.
func cpuField(key string) CPUField {
	switch key {
	case "processor", "cpu number":
		return Processor
	case "siblings":
		return Siblings
	case "cpu cores":
		return CPUCores
	case "physical id":
		return PhysicalID
	case "core id":
		return CoreID
	case "book id":
		return BookID
	case "drawer id":
		return DrawerID
	}
	return cpuFields
}

// cutCPULine takes "key   : value" apart. valueStart is where value starts in
// line; value has no blanks around it. A line without a colon has no key.
func cutCPULine(line string) (key, value string, valueStart int) {
	const blanks = " \t"
	colon := strings.IndexByte(line, ':')
	if colon < 0 {
		return "", "", 0
	}
	value = strings.TrimLeft(line[colon+1:], blanks)
	valueStart = len(line) - len(value)
	return strings.TrimRight(line[:colon], blanks), strings.TrimRight(value, blanks), valueStart
}
