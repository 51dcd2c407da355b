// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"encoding/json"
	"os"
	"testing"
)

// partRead is the argument that makes this binary the reader.
const partRead = "read"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == partRead {
		sample, err := Read()
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(sample)
		}
		if err != nil {
			panic(err) // the test shows it
		}
		return
	}
	m.Run()
}
