// SPDX-License-Identifier: Apache-2.0

package fusefs

import "github.com/procfs-shim/procfs-shim/fusefs/source"

// A File is one served file: a row of the table (package source).
type File = source.File

// Files returns the table of served files, in the order of listings. The slice
// is the caller's. Which of them a host has, [Host.Files] says.
func Files() []File { return source.Files() }
