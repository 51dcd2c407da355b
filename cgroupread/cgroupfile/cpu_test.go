// SPDX-License-Identifier: Apache-2.0

package cgroupfile

import (
	"math"
	"slices"
	"testing"
	"time"
)

const maxUint = "18446744073709551615"

func TestParseCPUStat(t *testing.T) {
	const us, ns = time.Microsecond, time.Nanosecond
	for _, c := range []struct {
		name, text string
		want       CPUStat
		line       int // of the error
	}{
		{
			name: "v2", text: "usage_usec 331330\nuser_usec 4090\nsystem_usec 327240\nnice_usec 0\ncore_sched.force_idle_usec 0\n" +
				"nr_periods 5\nnr_throttled 2\nthrottled_usec 77\nnr_bursts 0\nburst_usec 0\n",
			want: CPUStat{331330 * us, 4090 * us, 327240 * us, 77 * us},
		},
		{name: "v2 without the controller", text: "usage_usec 3\nuser_usec 1\nsystem_usec 2\n", want: CPUStat{3 * us, us, 2 * us, 0}},
		{name: "v1", text: "nr_periods 10\nnr_throttled 3\nthrottled_time 123456789\n", want: CPUStat{Throttled: 123456789 * ns}},
		{name: "empty"},
		{name: "no newline", text: "usage_usec 3", want: CPUStat{Usage: 3 * us}},
		{name: "saturates", text: "usage_usec " + maxUint + "\nthrottled_time " + maxUint + "\n", want: CPUStat{Usage: math.MaxInt64, Throttled: math.MaxInt64}},
		{name: "keys are whole", text: "usage_usecs 3\nxusage_usec 3\n"},
		{name: "no value", text: "usage_usec 1\nuser_usec\n", line: 2},
		{name: "no number", text: "usage_usec -1\n", line: 1},
		{name: "past 2^64", text: "nr_periods 1\nunknown 18446744073709551616\n", line: 2},
	} {
		got, err := ParseCPUStat([]byte(c.text))
		if line := errorLine(err); line != c.line || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v, want %+v, an error in line %d", c.name, got, err, c.want, c.line)
		}
	}
}

func TestParseCPUAcct(t *testing.T) {
	for text, want := range map[string][]time.Duration{
		"0 13520002 \n": {0, 13520002},
		"5\n":           {5},
		"1 2":           {1, 2},
		maxUint + " \n": {math.MaxInt64},
		"":              nil,
		"\n":            nil,
	} {
		if got, err := ParseUsagePerCPU(nil, []byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("usage_percpu %q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"1 x\n", "1  2\n", "-1\n", "1\n2\n", "18446744073709551616 \n"} {
		if got, err := ParseUsagePerCPU(nil, []byte(text)); errorLine(err) != 1 {
			t.Errorf("usage_percpu %q: %v, %v, want a ParseError", text, got, err)
		}
	}
	if got, err := ParseCPUAcctUsage([]byte("13520002\n")); err != nil || got != 13520002 {
		t.Errorf("usage: %v, %v", got, err)
	}
	if got, err := ParseCPUAcctUsage([]byte("")); errorLine(err) != 1 || got != 0 {
		t.Errorf("empty usage: %v, %v", got, err)
	}
	if user, system, err := ParseCPUAcctStat([]byte("user 3\nsystem 19\n")); err != nil || user != 30*time.Millisecond || system != 190*time.Millisecond {
		t.Errorf("stat: %v, %v, %v", user, system, err)
	}
	if user, _, err := ParseCPUAcctStat([]byte("user " + maxUint + "\n")); err != nil || user != math.MaxInt64 {
		t.Errorf("a large stat: %v, %v", user, err)
	}
	if _, _, err := ParseCPUAcctStat([]byte("user 3\nsystem\n")); errorLine(err) != 2 {
		t.Errorf("a stat without a number: %v", err)
	}
}
