// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Verdict says who is right.
type Verdict string

// The verdicts.
const (
	Agree   Verdict = "agree" // no row of the document
	Ours    Verdict = "procfs-shim"
	Theirs  Verdict = "LXCFS"
	Both    Verdict = "both"
	Neither Verdict = "neither"
	Unknown Verdict = "nobody knows"
)

// Row is one field.
type Row struct {
	Field               string
	Ours, Theirs, Truth string
	Verdict             Verdict
	Why                 string
	// Stated: ours isn't right here and the document says so.
	Stated bool
}

// Table is one file.
type Table struct {
	File string
	Note string
	Rows []Row
}

// Wrong are the rows in which ours is wrong, though it claims to be right.
func (t Table) Wrong() []Row {
	var wrong []Row
	for _, r := range t.Rows {
		if (r.Verdict == Theirs || r.Verdict == Neither) && !r.Stated {
			wrong = append(wrong, r)
		}
	}
	return wrong
}

// Count is how many rows have that verdict.
func (t Table) Count(v Verdict) int {
	n := 0
	for _, r := range t.Rows {
		if r.Verdict == v {
			n++
		}
	}
	return n
}

// Truth is what a number may be.
type Truth struct {
	Low, High float64
	// Tolerance is how far from it a number may be and still be right.
	Tolerance float64
	// Bound: the kernel doesn't count this for a cgroup, but it can't be outside.
	Bound bool
	// None: there is nothing that could be true for a cgroup.
	None bool
}

// exactly is a truth that doesn't move.
func exactly(v float64) Truth { return Truth{Low: v, High: v} }

// nobody is a truth that nobody knows.
func nobody() Truth { return Truth{None: true} }

// within widens a truth.
func (t Truth) within(tolerance float64) Truth {
	t.Tolerance = tolerance
	return t
}

// covers says whether v is right.
func (t Truth) covers(v float64) bool { return v >= t.Low-t.Tolerance && v <= t.High+t.Tolerance }

func (t Truth) String() string {
	switch {
	case t.None:
		return "–"
	case t.Low == t.High:
		return plain(t.Low)
	default:
		return plain(t.Low) + " … " + plain(t.High)
	}
}

// plain is a number without an exponent, and with at most two digits after the
// point.
func plain(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// between is what f was in a sample, before and after.
func (s Sample) between(f func(Moment) float64) Truth {
	before, after := f(s.Before), f(s.After)
	return Truth{Low: min(before, after), High: max(before, after)}
}

// judge compares two numbers with the truth.
func judge(field string, ours, theirs float64, truth Truth, why string) Row {
	r := Row{Field: field, Ours: plain(ours), Theirs: plain(theirs), Truth: truth.String(), Why: why}
	oursRight, theirsRight := truth.covers(ours), truth.covers(theirs)
	switch {
	case truth.None:
		r.Verdict = Unknown
		if ours == theirs {
			r.Verdict = Agree
		}
	case oursRight && theirsRight:
		r.Verdict = Both
		if math.Abs(ours-theirs) <= truth.Tolerance || ours == theirs {
			r.Verdict = Agree
		} else if truth.Bound {
			r.Verdict = Unknown
		}
	case oursRight:
		r.Verdict = Ours
	case theirsRight:
		r.Verdict = Theirs
	default:
		r.Verdict = Neither
	}
	return r
}

// alone is a number of a file that LXCFS doesn't have: the container reads the
// host's there.
func alone(field string, ours, host float64, truth Truth, why string) Row {
	r := judge(field, ours, math.NaN(), truth, why)
	r.Theirs = "the host's: " + plain(host)
	return r
}

// judgeText compares two texts with the one that is right.
func judgeText(field, ours, theirs, truth, why string) Row {
	r := Row{Field: field, Ours: show(ours), Theirs: show(theirs), Truth: show(truth), Why: why}
	switch {
	case ours == truth && theirs == truth:
		r.Verdict = Agree
	case ours == truth:
		r.Verdict = Ours
	case theirs == truth:
		r.Verdict = Theirs
	default:
		r.Verdict = Neither
	}
	return r
}

func show(text string) string {
	if text == "" || strings.TrimSpace(text) != text || strings.ContainsAny(text, "\t\n\x00") {
		return "`" + strconv.Quote(text) + "`"
	}
	return text
}

// form compares what isn't a field: how the file looks from outside.
func (s Sample) form(file string) []Row {
	ours, theirs, host := s.Ours[file], s.Theirs[file], s.Host[file]
	if theirs.Error != "" {
		return nil
	}
	const why = "as the host's file"
	return []Row{
		judgeText("(mode)", mode(ours), mode(theirs), mode(host), why),
		judgeText("(last byte)", last(ours), last(theirs), last(host), why),
		judge("(NUL bytes)", float64(strings.Count(ours.Text, "\x00")), float64(strings.Count(theirs.Text, "\x00")), exactly(0), why),
	}
}

func mode(r Reading) string { return fmt.Sprintf("%04o", r.Mode.Perm()) }

func last(r Reading) string { return r.Text[max(0, len(r.Text)-1):] }
