// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Noise is by how much a ratio may grow until it counts as slower: runs on one
// machine differ by a few percent.
const Noise = 0.10

// Change is how one row compares with the same row of an earlier run. Both runs'
// times are divided by those of another tree in the same run, since the next run
// is on a busier or another machine: by the null server's if both have it, which
// pays for FUSE as ours does, else by the kernel's.
type Change struct {
	File       string `json:"file"`
	Tree       string `json:"tree"`
	Mode       Mode   `json:"mode"`
	Readers    int    `json:"readers"`
	Containers int    `json:"containers"`
	// To is the tree whose times the ratios are to.
	To     string  `json:"to"`
	Before float64 `json:"before"`
	Now    float64 `json:"now"`
	// Slower is by how much the ratio grew: 0.25 is a quarter more, negative is
	// faster.
	Slower float64 `json:"slower"`
}

// ErrNothingInCommon says that no row of two reports can be compared.
var ErrNothingInCommon = errors.New("no row is in both runs with a row to relate it to")

// ReadReport reads what WriteJSON wrote.
func ReadReport(in io.Reader) (Report, error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return Report{}, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, fmt.Errorf("no report in JSON: %.60q: %w", bytes.TrimSpace(text), err)
	}
	if len(r.Results) == 0 {
		return Report{}, errors.New("a report without results")
	}
	for i := range r.Results {
		// Before there was a choice there was one container.
		r.Results[i].Containers = max(1, r.Results[i].Containers)
	}
	return r, nil
}

// Compare gives a change for each row that both reports have, but for the trees
// that others are related to, in the order of now.
func Compare(before, now Report) ([]Change, error) {
	type key struct {
		file, tree          string
		mode                Mode
		readers, containers int
	}
	earlier := make(map[key]Result)
	for _, r := range before.Results {
		earlier[key{r.File, r.Tree, r.Mode, r.Readers, r.Containers}] = r
	}
	var changes []Change
	for _, r := range now.Results {
		old, ok := earlier[key{r.File, r.Tree, r.Mode, r.Readers, r.Containers}]
		if !ok || r.Tree == KernelTree || r.Tree == NullTree {
			continue
		}
		c := Change{
			File: r.File, Tree: r.Tree, Mode: r.Mode, Readers: r.Readers, Containers: r.Containers,
			To: NullTree, Before: old.RatioNull, Now: r.RatioNull,
		}
		if c.Before <= 0 || c.Now <= 0 {
			c.To, c.Before, c.Now = KernelTree, old.Ratio, r.Ratio
		}
		if c.Before <= 0 || c.Now <= 0 {
			continue
		}
		c.Slower = c.Now/c.Before - 1
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, ErrNothingInCommon
	}
	return changes, nil
}

// WriteChanges writes the comparison for a person: all rows, and in the end how
// many are slower by more than Noise.
func WriteChanges(w io.Writer, changes []Change) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{"FILE\tTREE\tMODE\tREADERS\tCONTAINERS\tRATIO TO\tBEFORE\tNOW\tCHANGE\t\n"}
	slower := 0
	for _, c := range changes {
		verdict := ""
		switch {
		case c.Slower > Noise:
			verdict = "slower"
			slower++
		case c.Slower < -Noise:
			verdict = "faster"
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%+.0f %%\t%s\n", c.File, c.Tree, c.Mode, c.Readers, c.Containers,
			c.To, Significant(c.Before), Significant(c.Now), 100*c.Slower, verdict))
	}
	if _, err := io.WriteString(t, strings.Join(lines, "")); err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d of %d rows are slower by more than %.0f %%.\n", slower, len(changes), 100*Noise)
	return err
}
