// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"math/rand/v2"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func number(n int64) *int64 { return &n }

// run is a machine for the instructions that Compile uses. It fails the test on
// what the kernel's verifier refuses: an end that is never reached, a jump out
// of the program or backwards, a register that is read before it is set.
func run(t *testing.T, program []instruction, access, kind, major, minor uint32) bool {
	t.Helper()
	var registers [11]uint64
	written := map[uint8]bool{regContext: true}
	context := map[int16]uint64{offsetAccess: uint64(access)<<16 | uint64(kind), offsetMajor: uint64(major), offsetMinor: uint64(minor)}
	for at := 0; at < len(program); at++ {
		i := program[at]
		imm := uint64(int64(i.imm))
		reads := []uint8{i.dst}
		switch i.op {
		case opLoadWord, opMoveReg:
			reads = []uint8{i.src}
		case opMove:
			reads = nil
		case opExit:
			reads = []uint8{regResult}
		}
		for _, r := range reads {
			if !written[r] {
				t.Fatalf("instruction %d reads register %d before it is set", at, r)
			}
		}
		switch i.op {
		case opLoadWord:
			registers[i.dst] = context[i.offset]
		case opMoveReg:
			registers[i.dst] = registers[i.src]
		case opMove:
			registers[i.dst] = imm
		case opAnd:
			registers[i.dst] &= imm
		case opShift:
			registers[i.dst] >>= imm
		case opJumpNot, opJumpEqual:
			if i.offset < 0 || at+1+int(i.offset) >= len(program) {
				t.Fatalf("instruction %d jumps out of the program", at)
			}
			if (registers[i.dst] == imm) == (i.op == opJumpEqual) {
				at += int(i.offset)
			}
		case opExit:
			return registers[regResult] == 1
		default:
			t.Fatalf("instruction %d: operation %#x", at, i.op)
		}
		written[i.dst] = true
	}
	t.Fatal("fell out of the program")
	return false
}

// expect is the rules' meaning, word for word: for each kind of access the last
// rule that matches decides.
func expect(rules []specs.LinuxDeviceCgroup, access, kind, major, minor uint32) bool {
	for _, letter := range []struct {
		bit  uint32
		name string
	}{{accessRead, "r"}, {accessWrite, "w"}, {accessMknod, "m"}} {
		if access&letter.bit == 0 {
			continue
		}
		allowed := true
		for _, r := range rules {
			kinds := map[string]uint32{"b": typeBlock, "c": typeChar, "u": typeChar}
			matches := (r.Type == "" || r.Type == "a" || kinds[r.Type] == kind) &&
				(r.Major == nil || *r.Major < 0 || *r.Major == int64(major)) &&
				(r.Minor == nil || *r.Minor < 0 || *r.Minor == int64(minor)) &&
				(r.Access == "" || strings.Contains(r.Access, letter.name))
			if matches {
				allowed = r.Allow
			}
		}
		if !allowed {
			return false
		}
	}
	return true
}

// Random rules against their meaning, for every access of every device near.
func TestCompile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for range 300 {
		var rules []specs.LinuxDeviceCgroup
		for range random.IntN(6) {
			r := specs.LinuxDeviceCgroup{
				Allow: random.IntN(2) == 0, Type: pick("", "a", "b", "c", "c", "u"),
				Access: pick("", "r", "w", "m", "rw", "rwm", "rm"),
			}
			if random.IntN(2) == 0 {
				r.Major = number(int64(random.IntN(4)) - 1)
			}
			if random.IntN(2) == 0 {
				r.Minor = number(int64(random.IntN(4)) - 1)
			}
			rules = append(rules, r)
		}
		program, err := compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		for access := uint32(1); access <= accessAll; access++ {
			for kind := uint32(typeBlock); kind <= typeChar; kind++ {
				for device := range uint32(9) {
					major, minor := device/3, device%3
					if got, want := run(t, program, access, kind, major, minor), expect(rules, access, kind, major, minor); got != want {
						t.Fatalf("access %d type %d %d:%d: %v, want %v, by %v", access, kind, major, minor, got, want, rules)
					}
				}
			}
		}
	}
}

func TestCompileText(t *testing.T) {
	text, err := Compile([]specs.LinuxDeviceCgroup{{Allow: false}})
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != 8*8 || text[len(text)-8] != opExit {
		t.Errorf("text of %d bytes: %x", len(text), text)
	}
	many := make([]specs.LinuxDeviceCgroup, maxRules)
	for i := range many {
		many[i] = specs.LinuxDeviceCgroup{Type: "c", Major: number(int64(i)), Minor: number(1), Access: "r"}
	}
	if text, err = Compile(many); err != nil || len(text) > 8*4096 {
		t.Errorf("%d rules: %d bytes, %v", len(many), len(text), err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct {
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		{[]specs.LinuxDeviceCgroup{{}, {Type: "p"}}, `device rule 2: type "p"`},
		{[]specs.LinuxDeviceCgroup{{Access: "rx"}}, `access "rx"`},
		{[]specs.LinuxDeviceCgroup{{Major: number(1 << 31)}}, "major number 2147483648"},
		{[]specs.LinuxDeviceCgroup{{Minor: number(1 << 40)}}, "minor number"},
		{make([]specs.LinuxDeviceCgroup, maxRules+1), "are more than"},
	} {
		if _, err := Compile(c.rules); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Compile = %v, want it to say %q", err, c.want)
		}
	}
}
