// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"bytes"
	"fmt"
	"strconv"
)

// perMask and perLinux32 are of linux/personality.h: the execution domain, and
// that of 32-bit programs on 64-bit kernels.
const (
	perMask    = 0xff
	perLinux32 = 0x08
)

// Linux32 says whether the thread tid has the personality PER_LINUX32
// (personality(2), setarch(8)), in which some architectures show it another
// cpuinfo. The error is ErrNotVisible as for Locate.
func (l *Locator) Linux32(tid uint32) (bool, error) {
	if tid == 0 {
		return false, fmt.Errorf("personality of reader 0: %w", ErrNotVisible)
	}
	reader, err := openTask(l.proc, int(tid))
	if err != nil {
		return false, fmt.Errorf("personality of reader %d: %w", tid, gone(err))
	}
	defer reader.close()
	text, err := reader.read("personality")
	if err != nil {
		return false, fmt.Errorf("personality of reader %d: %w", tid, gone(err))
	}
	domain, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 16, 64)
	if err != nil {
		return false, fmt.Errorf("personality of reader %d: %s: %w", tid, reader.path("personality"), err)
	}
	return domain&perMask == perLinux32, nil
}
