// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
)

// A Policy is what an administrator may choose about a container's view. The
// zero value is the default. It travels as JSON, choices by their names.
type Policy struct {
	CPUView   CPUView   `json:"cpu_view"`
	Numbering Numbering `json:"numbering"`
	// MemoryHigh makes memory.high count as a limit for MemTotal and MemFree, and
	// not for MemAvailable alone.
	MemoryHigh bool `json:"memory_high"`
	Swap       Swap `json:"swap"`
	// Uptime says whose uptime /proc/uptime tells.
	Uptime Whose `json:"uptime"`
	// Loadavg says whose tasks /proc/loadavg counts.
	Loadavg Whose `json:"loadavg"`
	// HostCounters shows the host's intr, ctxt, softirq and processes in
	// /proc/stat, and its event counters, instead of 0.
	HostCounters bool `json:"host_counters"`
	// OnError says what a reader gets when the container's numbers can't be had.
	OnError OnError `json:"on_error"`
}

// A CPUView says what limits the CPUs that a container is shown.
type CPUView uint8

// The CPU views, named on the command line as given in quotes.
const (
	CPUViewQuota  CPUView = iota // "quota": the effective cpuset and the CPU quota, rounded up
	CPUViewCPUSet                // "cpuset": the effective cpuset alone
	CPUViewHost                  // "host": every online CPU
)

// A Numbering says which numbers the shown CPUs have in /proc/cpuinfo.
type Numbering uint8

// The numberings.
const (
	NumberingKernel     Numbering = iota // "kernel": their own
	NumberingContiguous                  // "contiguous": 0, 1, 2, …, as LXCFS numbers them
)

// A Swap says whether a container is shown swap.
type Swap uint8

// What swap is shown.
const (
	SwapLimit Swap = iota // "limit": what its limits let it use
	SwapNone              // "none": no swap
)

// Whose says whom a number is about.
type Whose uint8

// Whom a number can be about.
const (
	WhoseContainer Whose = iota // "container"
	WhoseHost                   // "host"
)

// An OnError says what is shown when a container's cgroup can't be read any
// more.
type OnError uint8

// What is shown on errors.
const (
	OnErrorEIO  OnError = iota // "eio": the read fails
	OnErrorHost                // "host": the host's file, as LXCFS does
)

func cpuViews() []string   { return []string{"quota", "cpuset", "host"} }
func numberings() []string { return []string{"kernel", "contiguous"} }
func swaps() []string      { return []string{"limit", "none"} }
func whoses() []string     { return []string{"container", "host"} }
func onErrors() []string   { return []string{"eio", "host"} }

// String returns the choice's name, as on the command line.
func (v CPUView) String() string { return choiceName(v, cpuViews()) }

// String returns the choice's name, as on the command line.
func (n Numbering) String() string { return choiceName(n, numberings()) }

// String returns the choice's name, as on the command line.
func (s Swap) String() string { return choiceName(s, swaps()) }

// MarshalText returns the choice's name; a value that is none is an error.
func (v CPUView) MarshalText() ([]byte, error) { return marshalChoice(v, cpuViews()) }

// MarshalText returns the choice's name; a value that is none is an error.
func (n Numbering) MarshalText() ([]byte, error) { return marshalChoice(n, numberings()) }

// MarshalText returns the choice's name; a value that is none is an error.
func (s Swap) MarshalText() ([]byte, error) { return marshalChoice(s, swaps()) }

// UnmarshalText takes a choice's name, exactly. The error lists the names.
func (v *CPUView) UnmarshalText(text []byte) error { return unmarshalChoice(v, text, cpuViews()) }

// UnmarshalText takes a choice's name, exactly. The error lists the names.
func (n *Numbering) UnmarshalText(text []byte) error { return unmarshalChoice(n, text, numberings()) }

// UnmarshalText takes a choice's name, exactly. The error lists the names.
func (s *Swap) UnmarshalText(text []byte) error { return unmarshalChoice(s, text, swaps()) }

// String returns the choice's name, as on the command line.
func (w Whose) String() string { return choiceName(w, whoses()) }

// MarshalText returns the choice's name; a value that is none is an error.
func (w Whose) MarshalText() ([]byte, error) { return marshalChoice(w, whoses()) }

// UnmarshalText takes a choice's name, exactly. The error lists the names.
func (w *Whose) UnmarshalText(text []byte) error { return unmarshalChoice(w, text, whoses()) }

// String returns the choice's name, as on the command line.
func (o OnError) String() string { return choiceName(o, onErrors()) }

// MarshalText returns the choice's name; a value that is none is an error.
func (o OnError) MarshalText() ([]byte, error) { return marshalChoice(o, onErrors()) }

// UnmarshalText takes a choice's name, exactly. The error lists the names.
func (o *OnError) UnmarshalText(text []byte) error { return unmarshalChoice(o, text, onErrors()) }

func choiceName[T ~uint8](c T, names []string) string {
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("%d", uint8(c))
}

func marshalChoice[T ~uint8](c T, names []string) ([]byte, error) {
	if int(c) >= len(names) {
		return nil, fmt.Errorf("policy value %d: not one of %s", uint8(c), strings.Join(names, ", "))
	}
	return []byte(names[c]), nil
}

func unmarshalChoice[T ~uint8](c *T, text []byte, names []string) error {
	for i, name := range names {
		if name == string(text) {
			*c = T(i)
			return nil
		}
	}
	return fmt.Errorf("policy value %q: not one of %s", text, strings.Join(names, ", "))
}
