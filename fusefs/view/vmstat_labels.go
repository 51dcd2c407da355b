// SPDX-License-Identifier: Apache-2.0

package view

import (
	"maps"
	"slices"
)

// VmstatLabels are the labels that [VmstatKey] knows, sorted.
func VmstatLabels() []string { return slices.Sorted(maps.Keys(vmstatSources)) }

// VmstatUnit says what a label that [VmstatKey] knows counts, where its key counts
// bytes: "pages"; "" where both count the same events. sized says that how large one
// is differs between hosts.
func VmstatUnit(label string) (unit string, sized bool) {
	switch vmstatSources[label].unit {
	case pages:
		return "pages", false
	case hugePages:
		return "transparent huge pages", true
	case kibibytes:
		return "KiB", false
	case events:
	}
	return "", false
}
