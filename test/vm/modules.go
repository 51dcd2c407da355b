// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// resolve orders kernel modules so that each comes after those it depends on,
// which are added. A module without a file in dir is left out: kernels differ
// in what they have built in, and one that is missing altogether shows when the
// guest needs it.
func resolve(dir string, names []string) ([]string, error) {
	var order []string
	var add func(name string, above []string) error
	add = func(name string, above []string) error {
		// File names and dependencies write - and _ as they please.
		name = strings.ReplaceAll(name, "-", "_")
		if slices.Contains(order, name) {
			return nil
		}
		if slices.Contains(above, name) {
			return fmt.Errorf("vm: kernel module %s depends on itself by way of %v", name, above)
		}
		needs, err := dependencies(filepath.Join(dir, name+".ko"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("vm: kernel module %s: %w", name, err)
		}
		for _, need := range needs {
			if err := add(need, append(slices.Clone(above), name)); err != nil {
				return err
			}
		}
		order = append(order, name)
		return nil
	}
	for _, name := range names {
		if err := add(name, nil); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// dependencies reads "depends=a,b" from a module's .modinfo section, a list of
// NUL-terminated "key=value".
func dependencies(path string) ([]string, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s: no .modinfo section", path)
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("%s: .modinfo: %w", path, err)
	}
	for entry := range strings.SplitSeq(string(data), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
