// SPDX-License-Identifier: Apache-2.0

package procfile

import "bytes"

// pressurePath names the file in errors; the resource is the caller's to name.
const pressurePath = "proc/pressure"

// A Pressure is the content of a file of /proc/pressure or of a cgroup's
// *.pressure, which have one form (kernel/sched/psi.c,
// Documentation/accounting/psi.rst): shares of the last 10, 60 and 300 s in
// percent, and the sum in µs.
//
//	some avg10=0.00 avg60=0.50 avg300=3.00 total=3775966947
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=0
//
// cpu has "full" since 5.13, irq (since 6.1) nothing else. Which lines and keys
// there are is therefore never assumed but taken from a text of the same kernel.
type Pressure struct {
	text []byte
}

// ParsePressure parses the whole of a file. The text is copied. The error is a
// [*ParseError].
func ParsePressure(text []byte) (*Pressure, error) {
	p := new(Pressure)
	if err := p.Parse(text); err != nil {
		return nil, err
	}
	return p, nil
}

// Parse replaces what p holds by the whole of text, which is copied, and keeps p's
// memory. After an error p is empty.
func (p *Pressure) Parse(text []byte) error {
	p.text = p.text[:0]
	if len(text) == 0 {
		return &ParseError{Path: pressurePath, Cause: ErrEmpty}
	}
	rest := text
	for number := 1; len(rest) > 0; number++ {
		var line []byte
		var err error
		if line, rest, err = cutLine(pressurePath, rest, number); err != nil {
			return err
		}
		if err := checkPressure(line, number); err != nil {
			return err
		}
	}
	p.text = append(p.text, text...)
	return nil
}

// checkPressure takes "some key=1.23 key=45": keys aren't looked at, for a kernel
// may add some.
func checkPressure(line []byte, number int) error {
	kind, values, more := bytes.Cut(line, []byte{' '})
	if !more || string(kind) != "some" && string(kind) != "full" {
		return failLine(pressurePath, number, line, ErrForm)
	}
	for more {
		var word []byte
		word, values, more = bytes.Cut(values, []byte{' '})
		key, value, found := bytes.Cut(word, []byte{'='})
		if !found || len(key) == 0 {
			return failLine(pressurePath, number, line, ErrForm)
		}
		whole, fraction, found := bytes.Cut(value, []byte{'.'})
		_, ok := parseUint(whole)
		if found && ok {
			_, ok = parseUint(fraction)
		}
		if !ok {
			return failLine(pressurePath, number, line, ErrNumber)
		}
	}
	return nil
}

// CopyFrom makes p an independent copy of src, reusing p's memory.
func (p *Pressure) CopyFrom(src *Pressure) { p.text = append(p.text[:0], src.text...) }

// CopyZero makes p a copy of src with every value 0: a number "0", a share as many
// digits after the point as it had.
func (p *Pressure) CopyZero(src *Pressure) {
	p.text = p.text[:0]
	value, fraction := false, false // the byte before was in a value, in its fraction
	for _, c := range src.text {
		switch {
		case c == '=':
			p.text = append(p.text, '=', '0')
			value, fraction = true, false
		case value && c == '.':
			p.text = append(p.text, '.')
			fraction = true
		case value && c >= '0' && c <= '9':
			if fraction {
				p.text = append(p.text, '0')
			}
		default:
			p.text = append(p.text, c)
			value = false
		}
	}
}

// Append appends the file's text to dst.
func (p *Pressure) Append(dst []byte) []byte { return append(dst, p.text...) }
