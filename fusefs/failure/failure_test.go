// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/cgroupread"
	"github.com/procfs-shim/procfs-shim/fusefs/hostread"
	"github.com/procfs-shim/procfs-shim/fusefs/nodes"
)

func TestOf(t *testing.T) {
	for _, test := range []struct {
		err   error
		errno unix.Errno
		cause Cause
	}{
		{nil, 0, TheRequester},
		{nodes.ErrNone, unix.ENOENT, TheRequester},
		{ErrReadOnly, unix.EROFS, TheRequester},
		{ErrStale, unix.ESTALE, CauseNotRegistered},
		{cgroupread.ErrGone, unix.EIO, CauseCgroupGone},
		{hostread.ErrUnreadable, unix.EIO, CauseHost},
		{ErrPanic, unix.EIO, CauseInternal},
		{errors.New("a limit that is no number"), unix.EIO, CauseCgroup},
	} {
		err := test.err
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
		}
		if errno, cause := Of(err); errno != test.errno || cause != test.cause {
			t.Errorf("%v is %v, %q; want %v, %q", err, errno, cause, test.errno, test.cause)
		}
	}
}

// What the requester did wrong is no failure; others are logged once.
func TestCounts(t *testing.T) {
	var log bytes.Buffer
	c := Counts{Log: slog.New(slog.NewTextHandler(&log, nil))}
	if got := c.All(); got != nil {
		t.Errorf("nothing counted: %v", got)
	}
	for range 3 {
		c.Count(ErrReadOnly, "proc/stat", "an error")
		c.Count(cgroupread.ErrGone, "proc/stat", "an error")
		c.Count(ErrPanic, "proc/stat", "an error")
	}
	if got := c.All(); len(got) != 2 || got[CauseCgroupGone] != 3 || got[CauseInternal] != 3 {
		t.Errorf("counted %v", got)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "proc/stat") {
		t.Errorf("logged\n%s", &log)
	}
}
