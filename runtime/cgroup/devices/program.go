// SPDX-License-Identifier: Apache-2.0

// Package devices limits the devices of a cgroup on cgroup2, which has no
// devices controller: the kernel asks a BPF program that is attached to the
// cgroup (BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15) before a process in it opens
// or makes a device node.
//
// What it turns into what: the rules of an OCI configuration into such a
// program (program.go, pure), and the program into an attachment that replaces
// the one before it (attach.go).
//
// # Rules
//
// The specification applies them in their order, each to its kinds of access
// (r, w, and m for mknod). So for each kind the last rule that matches decides,
// and the program looks at them from the last to the first: a rule that allows
// takes its kinds off those that are asked for, one that denies refuses if it
// has any of those left. What no rule matches is allowed, as in a new cgroup of
// v1.
//
// No library is used: the program is a dozen kinds of instruction, and
// cilium/ebpf, which containerd/cgroups brings along, adds one more program with
// every change there (cgroup2.Manager.Update, version 3.1.3).
package devices

import (
	"encoding/binary"
	"fmt"
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Of linux/bpf.h: struct bpf_cgroup_dev_ctx is three words, the first of which
// has the access in its upper and the type in its lower half.
const (
	typeBlock = 1 // BPF_DEVCG_DEV_BLOCK
	typeChar  = 2 // BPF_DEVCG_DEV_CHAR

	accessMknod = 1 // BPF_DEVCG_ACC_MKNOD
	accessRead  = 2 // BPF_DEVCG_ACC_READ
	accessWrite = 4 // BPF_DEVCG_ACC_WRITE
	accessAll   = accessMknod | accessRead | accessWrite

	offsetAccess, offsetMajor, offsetMinor = 0, 4, 8
)

// Operation codes of BPF (linux/bpf_common.h, linux/bpf.h).
const (
	opLoadWord  = 0x61 // dst = *(u32 *)(src + off)
	opMoveReg   = 0xbf // dst = src
	opMove      = 0xb7 // dst = imm
	opAnd       = 0x57 // dst &= imm
	opShift     = 0x77 // dst >>= imm
	opJumpNot   = 0x55 // if dst != imm goto +off
	opJumpEqual = 0x15 // if dst == imm goto +off
	opExit      = 0x95
)

// Registers of the program.
const (
	regResult  = 0
	regContext = 1 // what the kernel hands over
	regType    = 2
	regAccess  = 3 // the kinds of access that nothing has decided yet
	regMajor   = 4
	regMinor   = 5
)

// instruction is struct bpf_insn.
type instruction struct {
	op       uint8
	dst, src uint8
	offset   int16
	imm      int32
}

// maxRules keeps the program below the 4096 instructions that every kernel
// takes: a rule has eight at most.
const maxRules = 500

// Compile makes the program's text. An error names the rule.
func Compile(rules []specs.LinuxDeviceCgroup) ([]byte, error) {
	program, err := compile(rules)
	if err != nil {
		return nil, err
	}
	text := make([]byte, 0, 8*len(program))
	for _, i := range program {
		registers := i.src<<4 | i.dst
		if nativeBig() {
			registers = i.dst<<4 | i.src // bit fields begin at the other end
		}
		text = append(text, i.op, registers)
		text = binary.NativeEndian.AppendUint16(text, uint16(i.offset))
		text = binary.NativeEndian.AppendUint32(text, uint32(i.imm))
	}
	return text, nil
}

func nativeBig() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }

func compile(rules []specs.LinuxDeviceCgroup) ([]instruction, error) {
	if len(rules) > maxRules {
		return nil, fmt.Errorf("device rules: %d are more than %d", len(rules), maxRules)
	}
	program := []instruction{
		{op: opLoadWord, dst: regType, src: regContext, offset: offsetAccess},
		{op: opMoveReg, dst: regAccess, src: regType},
		{op: opAnd, dst: regType, imm: 0xffff},
		{op: opShift, dst: regAccess, imm: 16},
		{op: opLoadWord, dst: regMajor, src: regContext, offset: offsetMajor},
		{op: opLoadWord, dst: regMinor, src: regContext, offset: offsetMinor},
	}
	for n := len(rules) - 1; n >= 0; n-- {
		r, err := parse(rules[n])
		if err != nil {
			return nil, fmt.Errorf("device rule %d: %w", n+1, err)
		}
		program = append(program, r.block()...)
		if r.decidesAll() {
			return program, nil // the verifier refuses what can't be reached
		}
	}
	return append(program, result(true)...), nil
}

// rule is one rule in the kernel's numbers; -1 is any.
type rule struct {
	allow        bool
	kind         int32
	major, minor int32
	access       int32
}

func parse(r specs.LinuxDeviceCgroup) (rule, error) {
	p := rule{allow: r.Allow, kind: -1, major: -1, minor: -1}
	switch r.Type {
	case "", "a":
	case "b":
		p.kind = typeBlock
	case "c", "u":
		p.kind = typeChar
	default:
		return rule{}, fmt.Errorf("type %q: not one of a, b, c and u", r.Type)
	}
	for _, n := range []struct {
		what string
		from *int64
		to   *int32
	}{{"major", r.Major, &p.major}, {"minor", r.Minor, &p.minor}} {
		switch {
		case n.from == nil || *n.from < 0:
		case *n.from > math.MaxInt32:
			return rule{}, fmt.Errorf("%s number %d: more than any device has", n.what, *n.from)
		default:
			*n.to = int32(*n.from)
		}
	}
	access := r.Access
	if access == "" {
		access = "rwm"
	}
	for _, letter := range access {
		bits := map[rune]int32{'r': accessRead, 'w': accessWrite, 'm': accessMknod}[letter]
		if bits == 0 {
			return rule{}, fmt.Errorf("access %q: not r, w and m", r.Access)
		}
		p.access |= bits
	}
	return p, nil
}

func (r rule) decidesAll() bool {
	return r.kind < 0 && r.major < 0 && r.minor < 0 && r.access == accessAll
}

// block is the rule's part of the program; falling out of it means that the
// rule has not decided.
func (r rule) block() []instruction {
	if r.decidesAll() {
		return result(r.allow)
	}
	var block []instruction
	for _, c := range []struct {
		register uint8
		value    int32
	}{{regType, r.kind}, {regMajor, r.major}, {regMinor, r.minor}} {
		if c.value >= 0 {
			block = append(block, instruction{op: opJumpNot, dst: c.register, imm: c.value})
		}
	}
	tests := len(block)
	if r.allow {
		block = append(block,
			instruction{op: opAnd, dst: regAccess, imm: ^r.access},
			instruction{op: opJumpNot, dst: regAccess, imm: 0})
	} else {
		block = append(block,
			instruction{op: opMoveReg, dst: regResult, src: regAccess},
			instruction{op: opAnd, dst: regResult, imm: r.access},
			instruction{op: opJumpEqual, dst: regResult, imm: 0})
	}
	last := len(block) - 1
	block = append(block, result(r.allow)...)
	for i := range block {
		if i < tests || i == last {
			block[i].offset = int16(len(block) - i - 1) // to the next rule
		}
	}
	return block
}

// result ends the program.
func result(allow bool) []instruction {
	value := int32(0)
	if allow {
		value = 1
	}
	return []instruction{{op: opMove, dst: regResult, imm: value}, {op: opExit}}
}
