// SPDX-License-Identifier: Apache-2.0

package apart

import (
	"errors"
	"os"
)

// Running is another process that runs Serve.
type Running struct {
	*Remote
	// Ended is closed when the process has ended.
	Ended <-chan struct{}

	plans, answers *os.File
	err            error // valid when Ended is closed
}

// Run has a process run with a standard input and output for Remote, in a
// goroutine of its own. run returns when the process has ended, and why if that
// wasn't well; it doesn't close what it is given.
func Run(run func(stdin, stdout *os.File) error) (*Running, error) {
	planRead, planWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, planRead.Close(), planWrite.Close())
	}
	ended := make(chan struct{})
	r := &Running{Remote: NewRemote(planWrite, outRead), Ended: ended, plans: planWrite, answers: outRead}
	go func() {
		defer close(ended)
		err := run(planRead, outWrite)
		// Whoever waits for an answer finds the end.
		r.err = errors.Join(err, outWrite.Close(), planRead.Close())
	}()
	return r, nil
}

// Close says that there are no more plans, waits for the end of the process and
// gives run's error.
func (r *Running) Close() error {
	err := r.plans.Close()
	<-r.Ended
	return errors.Join(r.err, err, r.answers.Close())
}
