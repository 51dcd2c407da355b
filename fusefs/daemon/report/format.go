// SPDX-License-Identifier: Apache-2.0

package report

import "fmt"

// A Format is how a command prints: a table for people, or JSON. The zero value is a
// table. It is the value of a flag (pflag.Value).
type Format string

const jsonFormat Format = "json"

// JSON says that it is JSON.
func (f *Format) JSON() bool { return *f == jsonFormat }

// String returns the format's name.
func (f *Format) String() string {
	if f.JSON() {
		return string(jsonFormat)
	}
	return "table"
}

// Set takes a format's name.
func (f *Format) Set(name string) error {
	if name != "table" && name != string(jsonFormat) {
		return fmt.Errorf("%q is neither table nor json", name)
	}
	*f = Format(name)
	return nil
}

// Type is what help shows after the flag.
func (f *Format) Type() string { return "table|json" }
