// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"math"
	"strconv"
	"strings"
)

// list is a file of lines "name number", in its order. What isn't one is left out.
type list struct {
	names  []string
	values map[string]float64
}

func parseList(text string) list {
	l := list{values: map[string]float64{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		v, ok := parseNumber(words[1])
		if !ok {
			continue
		}
		name := strings.TrimSuffix(words[0], ":")
		l.names = append(l.names, name)
		l.values[name] = v
	}
	return l
}

// value is a number of a file of the moment, 0 where there is none.
func (m Moment) value(file, name string) float64 { return parseList(m.Files[file]).values[name] }

// number is a file that has one number, 0 where there is none.
func (m Moment) number(file string) float64 { return numberAt(m.Files[file], 0) }

// numberAt is the i-th word of a text, 0 where it is no number.
func numberAt(text string, i int) float64 {
	words := strings.Fields(text)
	if i >= len(words) {
		return 0
	}
	v, ok := parseNumber(words[i])
	if !ok {
		return 0
	}
	return v
}

// parseNumber takes what the kernel writes, no NaN and no infinity.
func parseNumber(text string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// line is the first one that starts with these words, whole.
func line(text, start string) string {
	for l := range strings.Lines(text) {
		words := strings.Join(strings.Fields(l), " ")
		if words == start || strings.HasPrefix(words, start+" ") {
			return words
		}
	}
	return ""
}

// parseCPUs counts what a CPU list names: "0-2,5" are 4.
func parseCPUs(text string) float64 {
	n := 0.0
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		from, to, isRange := strings.Cut(part, "-")
		switch {
		case part == "":
		case isRange:
			n += numberAt(to, 0) - numberAt(from, 0) + 1
		default:
			n++
		}
	}
	return n
}
