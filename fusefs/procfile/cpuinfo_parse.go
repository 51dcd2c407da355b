// SPDX-License-Identifier: Apache-2.0

package procfile

import "strings"

// A cpuinfoParser walks over the lines once and cuts the text wherever a block
// starts.
type cpuinfoParser struct {
	text   string
	blocks []CPUBlock
	number int // the current line's, from 1

	headEnd    int
	processors cpuNumber

	// The state of the block that is being read.
	start     int  // where its text starts
	blank     bool // a blank line has been seen in it
	tailStart int  // where the text after it starts, should it be the last one; 0 while unknown
}

func (p *cpuinfoParser) parse() error {
	if p.text == "" {
		return &ParseError{Path: cpuinfoPath, Cause: ErrEmpty}
	}
	previousBlank := -1 // where the blank line right before this one starts
	for at := 0; at < len(p.text); {
		p.number++
		length := strings.IndexByte(p.text[at:], '\n')
		if length < 0 {
			return failLine(cpuinfoPath, p.number, p.text[at:], ErrTruncated)
		}
		if err := p.line(at, p.text[at:at+length], previousBlank); err != nil {
			return err
		}
		previousBlank = -1
		if length == 0 {
			previousBlank = at
		}
		at += length + 1
	}
	if len(p.blocks) == 0 {
		return &ParseError{Path: cpuinfoPath, Text: "processor", Cause: ErrMissing}
	}
	if p.tailStart == 0 {
		p.tailStart = len(p.text)
	}
	p.endBlock(p.tailStart)
	return nil
}

// line takes one line, which starts at offset at, without its newline.
func (p *cpuinfoParser) line(at int, line string, previousBlank int) error {
	if line == "" {
		p.blank = true
		return nil
	}
	if len(p.blocks) > 0 && p.blank && p.tailStart == 0 {
		p.tailStart = at
	}
	key, value, valueStart := cutCPULine(line)
	field := cpuField(key)
	switch {
	case field == Processor:
		start := at
		if key == "cpu number" && previousBlank >= 0 {
			start = previousBlank // s390 writes the blank line before the block
		}
		return p.startBlock(start, at, line, value, valueStart)
	case strings.HasPrefix(key, "processor "):
		// s390's one-line form: the number is part of the key.
		digits := strings.TrimLeft(key[len("processor "):], " ")
		if _, ok := parseUint(digits); !ok {
			break // not a CPU's line; it stays where it is
		}
		if err := p.startBlock(at, at, line, digits, len(key)-len(digits)); err != nil {
			return err
		}
		p.tailStart = at + len(line) + 1
	case field == cpuFields:
		if key == "# processors" && len(p.blocks) == 0 {
			return p.set(&p.processors, 0, at, line, value, valueStart)
		}
	case len(p.blocks) > 0 && p.tailStart == 0:
		n := &p.blocks[len(p.blocks)-1].fields[field]
		if n.end > 0 {
			break // said twice: the first counts
		}
		if field.editable() {
			return p.set(n, p.start, at, line, value, valueStart)
		}
		n.start = at - p.start + valueStart
		n.end = n.start + len(value)
	}
	return nil
}

// startBlock ends the block before and begins that of the CPU whose number is
// digits. at is where line starts, start where the block's text does.
func (p *cpuinfoParser) startBlock(start, at int, line, digits string, digitsStart int) error {
	if len(p.blocks) == 0 {
		p.headEnd = start
	} else {
		p.endBlock(start)
	}
	p.start, p.blank, p.tailStart = start, false, 0
	var block CPUBlock
	if err := p.set(&block.fields[Processor], start, at, line, digits, digitsStart); err != nil {
		return err
	}
	block.CPU = block.fields[Processor].value
	p.blocks = append(p.blocks, block)
	return nil
}

// endBlock gives the last block the text up to end.
func (p *cpuinfoParser) endBlock(end int) {
	p.blocks[len(p.blocks)-1].Text = p.text[p.start:end]
}

// set fills in n from the digits of a line that starts at offset at; its place is
// counted from offset base.
func (p *cpuinfoParser) set(n *cpuNumber, base, at int, line, digits string, digitsStart int) error {
	v, ok := parseUint(digits)
	if !ok || v > maxCPU {
		return failLine(cpuinfoPath, p.number, line, ErrNumber)
	}
	n.start = at - base + digitsStart
	n.end = n.start + len(digits)
	n.value = int(v)
	return nil
}
