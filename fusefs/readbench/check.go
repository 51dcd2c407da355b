// SPDX-License-Identifier: Apache-2.0

package readbench

import (
	"bytes"
	"errors"
	"fmt"
)

var errEmpty = errors.New("empty")

// LineValue gives a check for content that has exactly one line beginning with
// key, and value after it and blanks: LineValue("MemTotal:", "262144 kB").
// The check allocates nothing as long as it passes.
func LineValue(key, value string) func([]byte) error {
	wantKey, wantValue := []byte(key), []byte(value)
	return func(content []byte) error {
		found := 0
		for rest := content; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, newline)
			got, ok := bytes.CutPrefix(line, wantKey)
			if !ok {
				continue
			}
			found++
			if got = bytes.TrimSpace(got); !bytes.Equal(got, wantValue) {
				return fmt.Errorf("%s %.40q, expected %q", key, got, value)
			}
		}
		if found != 1 {
			return fmt.Errorf("%d lines with %q, expected 1", found, key)
		}
		return nil
	}
}

// LineCount gives a check for content with n lines that begin with prefix:
// LineCount("processor\t", 2). The check allocates nothing as long as it
// passes.
func LineCount(prefix string, n int) func([]byte) error {
	wanted := []byte(prefix)
	return func(content []byte) error {
		found := 0
		for rest := content; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, newline)
			if bytes.HasPrefix(line, wanted) {
				found++
			}
		}
		if found != n {
			return fmt.Errorf("%d lines with %q, expected %d", found, prefix, n)
		}
		return nil
	}
}

// Exactly gives a check for content that is always the same.
func Exactly(text string) func([]byte) error {
	want := []byte(text)
	return func(content []byte) error {
		if !bytes.Equal(content, want) {
			return fmt.Errorf("%.40q (%d bytes), expected %.40q (%d bytes)", content, len(content), text, len(text))
		}
		return nil
	}
}

// notEmpty is the check of rows that have none.
func notEmpty(content []byte) error {
	if len(content) == 0 {
		return errEmpty
	}
	return nil
}

var newline = []byte("\n") //nolint:gochecknoglobals // a constant that Go can't express
