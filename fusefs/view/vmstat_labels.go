// SPDX-License-Identifier: Apache-2.0

package view

import (
	"maps"
	"slices"
)

// HugePages is the unit of [VmstatUnit] whose size differs between hosts.
const HugePages = "transparent huge pages"

// VmstatLabels are the labels that [VmstatKey] knows, sorted.
func VmstatLabels() []string { return slices.Sorted(maps.Keys(vmstatSources)) }

// VmstatUnit says in which unit a label has what its key has in bytes: "pages",
// [HugePages], "KiB"; "" where both count the same events.
func VmstatUnit(label string) string {
	switch vmstatSources[label].unit {
	case pages:
		return "pages"
	case hugePages:
		return HugePages
	case kibibytes:
		return "KiB"
	case events:
	}
	return ""
}
